/** Which kind of board a bundle makes of the board that boots it. */
import { type BoardKind, kindWords } from "../board/kind.ts";
import { kindsOf } from "../bundle/board-kinds.ts";
import type { Manifest } from "../bundle/bundle.ts";
import { TwinboardError } from "../errors.ts";

/** What a board may be. */
export interface KindRules {
  /** Best first: a board becomes the first that the bundle is for. A bundle that does not say what it is for is for the first. */
  readonly allowed: readonly [BoardKind, ...BoardKind[]];
  /** What the board is given that one of that kind cannot have, by its name in the configuration. */
  readonly lacks: Readonly<Partial<Record<BoardKind, string>>>;
}

export const machinesAlone: KindRules = { allowed: ["qemu"], lacks: {} };

/**
 * Errors: `bundle-kind-refused` (none of the bundle's kinds is allowed, or the board could not have what the configuration gives it),
 * `bundle-manifest-invalid` (`kindsOf`).
 */
export function chooseKind(manifest: Pick<Manifest, "meta">, { allowed, lacks }: KindRules): BoardKind {
  const [usual] = allowed;
  const said = kindsOf(manifest);
  const kind = said === undefined ? usual : allowed.find((one) => said.includes(one));
  if (kind === undefined) {
    const detail = `its images are for ${listed(said ?? [])}, boards.kind allows this board to be ${listed(allowed)}`;
    throw new TwinboardError("bundle-kind-refused", { detail });
  }
  const lack = lacks[kind];
  if (lack === undefined) return kind;
  const detail = `the board would be ${kindWords[kind]}, and ${lack} cannot be had by one`;
  throw new TwinboardError("bundle-kind-refused", { detail });
}

function listed(kinds: readonly BoardKind[]): string {
  return kinds.map((kind) => kindWords[kind]).join(" or ");
}
