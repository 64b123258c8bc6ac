/** Reads server-sent events (HTML Living Standard, 9.2.6 "Interpreting an event stream"), as far as the API uses them. */
import { TwinboardError } from "../errors.ts";

export interface ServerEvent {
  /** `message` if the event names none. */
  readonly event: string;
  readonly data: string;
  /** The last id that was sent, by this event or one before it; empty if none was. */
  readonly id: string;
}

const maxEventCharacters = 1024 * 1024;

/** Events of a stream of text, however it is cut. Comments are left out. Errors: `request-too-large` for an event beyond 1 Mi characters. */
export async function* parseEvents(chunks: AsyncIterable<string>): AsyncGenerator<ServerEvent> {
  let rest = "";
  let event = "";
  let data: string[] = [];
  let id = "";
  let held = 0;
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    held += chunk.length;
    if (held > maxEventCharacters) throw new TwinboardError("request-too-large", { detail: "an event" });
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield { event: event || "message", data: data.join("\n"), id };
        [event, data, held] = ["", [], rest.length];
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") event = value;
      else if (field === "data") data.push(value);
      else if (field === "id") id = value;
    }
  }
}
