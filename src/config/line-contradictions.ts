/** What serial lines and streams cannot be together. */
import { resolve } from "node:path";
import type { Contradiction } from "./contradiction.ts";
import { isLine, type LineService, toLine } from "./line-schema.ts";
import { canonical } from "./network-address.ts";
import { isNetworkService, type NetworkService } from "./network-service.ts";
import type { ConfigDocument } from "./schema.ts";

/** Of a board: ports of QEMU's virtio-serial controller, and of the processor's own and PCI's serial ports. */
const mostLines = 16;

export function ofLines({ services = [] }: Partial<Pick<ConfigDocument, "services">>): Contradiction[] {
  const found: Contradiction[] = [];
  const places = new Map<string, string>();
  const others: NetworkService[] = [];
  let count = 0;
  for (const [index, service] of services.entries()) {
    // A stream cannot listen where connections to a service are sent on to the boards.
    if (isNetworkService(service)) others.push(service);
    if (!isLine(service)) continue;
    count += 1;
    const at = (keys: readonly string[], message: string): void =>
      void found.push({ path: ["services", index, ...keys], message });
    if (count > mostLines) at([], `expected at most ${mostLines} serial lines and streams`);
    for (const [key, message] of ofKeys(service)) at([key], message);
    const { keys, place } = placeOf(service);
    const other = places.get(place) ?? nameOfTaken(others, service);
    if (other !== undefined) at(keys, `service ${other} has ${place} already`);
    else places.set(place, service.name);
  }
  return found;
}

function placeOf(service: LineService): { readonly keys: readonly string[]; readonly place: string } {
  const { outside } = toLine(service);
  if (outside.kind === "serial") return { keys: ["serial"], place: resolve(outside.device) };
  return { keys: ["stream", outside.kind], place: placeText(outside.endpoint) };
}

/** The network service that has the stream's address and port. */
function nameOfTaken(others: readonly NetworkService[], service: LineService): string | undefined {
  const { outside } = toLine(service);
  if (outside.kind === "serial" || "path" in outside.endpoint) return undefined;
  const { host, port: wanted } = outside.endpoint;
  const taken = others.find(
    ({ protocol, address, port }) =>
      protocol === "tcp" &&
      canonical(address) === canonical(host) &&
      port !== undefined &&
      port.first <= wanted &&
      wanted <= port.last,
  );
  return taken?.name;
}

function placeText(
  endpoint: { readonly path: string } | { readonly host: string; readonly port: number },
): string {
  if ("path" in endpoint) return resolve(endpoint.path);
  const { host, port } = endpoint;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function ofKeys(service: LineService): [key: string, message: string][] {
  if (!("serial" in service)) return [];
  const found: [string, string][] = [];
  if (service["flow-control"] === "rts-cts" && service.rts !== undefined)
    found.push(["rts", "not with flow-control: rts-cts, which moves it"]);
  if (service["flow-control"] === "xon-xoff" && (service["data-bits"] ?? 8) < 7)
    found.push(["flow-control", `xon-xoff needs at least 7 data-bits, not ${service["data-bits"]}`]);
  return found;
}
