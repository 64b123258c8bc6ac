/** What each value allows by itself and the values together do not. */
import { defaultBoardsPrefix } from "./config.ts";
import { holds, parsePrefix4 } from "./network-address.ts";
import type { ConfigDocument } from "./schema.ts";

export interface Contradiction {
  /** Keys and indexes that lead to the value to change. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Every contradiction of a document; the later of two that exclude each other is named. */
export function contradictions(document: ConfigDocument): Contradiction[] {
  const found: Contradiction[] = [];
  const take = (seen: Set<string>, key: string, path: (string | number)[], message: string): void => {
    if (seen.has(key)) found.push({ path, message });
    seen.add(key);
  };

  const names = new Set<string>();
  const outside = new Set<string>();
  const inside = new Set<string>();
  const boards = parsePrefix4(document.network.boards ?? defaultBoardsPrefix);
  for (const [index, service] of document.services.entries()) {
    const { name, protocol, address, port } = service;
    const insidePort = service["inside-port"] ?? port;
    take(names, name, ["services", index, "name"], `another service is named ${name}`);
    const endpoint = `${protocol} ${address}:${port}`;
    take(outside, endpoint, ["services", index, "port"], `another service has ${endpoint}`);
    take(
      inside,
      `${protocol} ${insidePort}`,
      ["services", index, service["inside-port"] === undefined ? "port" : "inside-port"],
      `another service reaches port ${insidePort} inside the boards: give one of them an inside-port of its own`,
    );
    if (boards !== undefined && holds(boards, address))
      found.push({
        path: ["services", index, "address"],
        message: `${address} lies inside network.boards, which is private to the host and its boards`,
      });
  }

  const checks = new Set<string>();
  for (const [index, check] of (document.health ?? []).entries())
    take(checks, check.name, ["health", index, "name"], `another check is named ${check.name}`);

  return found;
}
