/** What does not go together with what runs the boards. */
import { type BoardKind, boardKinds } from "../board/kind.ts";
import { kindsOf } from "./config.ts";
import type { Contradiction } from "./contradiction.ts";
import { isLeased } from "./leased-schema.ts";
import { isLine } from "./line-schema.ts";
import type { ConfigDocument } from "./schema.ts";

const keysOf = {
  qemu: ["accelerator", "architecture"],
  container: ["runtime"],
} as const satisfies Record<BoardKind, readonly string[]>;

export function ofBoards({ boards, network, services = [] }: ConfigDocument): Contradiction[] {
  const found: Contradiction[] = [];
  const { a, b } = kindsOf(boards.kind);
  for (const kind of boardKinds) {
    if (a.includes(kind) || b.includes(kind)) continue;
    for (const key of keysOf[kind])
      if (boards[key] !== undefined)
        found.push({
          path: ["boards", key],
          message: `means nothing here, only for boards of kind ${kind}`,
        });
  }
  // Where a board may be either, what it becomes is known when a bundle comes.
  if (a.includes("qemu") && b.includes("qemu")) return found;
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
