/** What programs, devices and CAN buses cannot be together: a thing of the host belongs to one service. */
import { resolve } from "node:path";
import type { Contradiction } from "./contradiction.ts";
import { isLeased, type LeasedService } from "./leased-schema.ts";
import type { ConfigDocument } from "./schema.ts";

/** Of a board: each disk takes a port of its own. */
const mostDevices = 16;

export function ofLeased({ services = [] }: Partial<Pick<ConfigDocument, "services">>): Contradiction[] {
  const found: Contradiction[] = [];
  const owners = new Map<string, string>();
  let devices = 0;
  for (const [index, service] of services.entries()) {
    if (!isLeased(service)) continue;
    const at = (keys: readonly string[], message: string): void =>
      void found.push({ path: ["services", index, ...keys], message });
    if ("device" in service) devices += 1;
    if ("device" in service && devices > mostDevices) at([], `expected at most ${mostDevices} devices`);
    const { key, thing } = thingOf(service);
    if (thing === undefined) continue;
    const owner = owners.get(thing);
    if (owner !== undefined) at([key], `service ${owner} has ${thing} already`);
    else owners.set(thing, service.name);
  }
  return found;
}

function thingOf(service: LeasedService): { readonly key: string; readonly thing?: string } {
  if ("can" in service) return { key: "can", thing: `CAN bus ${service.can}` };
  if ("exec" in service) return { key: "exec" };
  const { "virtio-blk": disk, usb = "" } = service.device;
  return { key: "device", thing: disk === undefined ? `USB device ${usb.toLowerCase()}` : resolve(disk) };
}
