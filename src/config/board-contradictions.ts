/** What does not go together with what runs the boards. */
import type { Contradiction } from "./contradiction.ts";
import { isLeased } from "./leased-schema.ts";
import { isLine } from "./line-schema.ts";
import type { ConfigDocument } from "./schema.ts";

export function ofBoards({ boards, network, services = [] }: ConfigDocument): Contradiction[] {
  const found: Contradiction[] = [];
  const only = (key: "runtime" | "accelerator", kind: string): void => {
    if (boards[key] !== undefined)
      found.push({ path: ["boards", key], message: `means nothing here, only for boards of kind ${kind}` });
  };
  if (boards.kind !== "container") {
    only("runtime", "container");
    return found;
  }
  only("accelerator", "qemu");
  if (typeof network.uplinks?.a === "object")
    found.push({
      path: ["network", "uplinks"],
      message: "a PCI device can be had by boards of kind qemu alone",
    });
  for (const [index, service] of services.entries()) {
    const thing = isLine(service)
      ? "a serial line or stream"
      : isLeased(service) && "can" in service
        ? "a CAN bus"
        : undefined;
    if (thing !== undefined)
      found.push({ path: ["services", index], message: `${thing} can be had by boards of kind qemu alone` });
  }
  return found;
}
