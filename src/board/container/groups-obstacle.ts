/** Why no container can be held on this host: its runtime makes a group in each tree of control groups, and one that sleeps is frozen by them. */
import { TwinboardError } from "../../errors.ts";
import { findCgroupTrees, whyUnwritable } from "../../system/cgroup-trees.ts";

/** As the error that a start would end with: `missing-kernel-feature`, `cgroup-unwritable`; `undefined` if there is none. Changes nothing. */
export async function groupsObstacle(proc?: string): Promise<TwinboardError | undefined> {
  const { of, all } = await findCgroupTrees(proc);
  const freezer = of("freezer");
  if (freezer === undefined)
    return new TwinboardError("missing-kernel-feature", {
      detail: "no cgroup tree with a freezer is mounted",
    });
  const reasons: string[] = [];
  // Beside trees of version 1 neither runtime needs the second.
  for (const tree of all.filter(({ version }) => version === freezer.version)) {
    const reason = await whyUnwritable(tree, tree.mount);
    if (reason !== undefined) reasons.push(reason);
  }
  if (reasons.length === 0) return undefined;
  return new TwinboardError("cgroup-unwritable", {
    detail: `a container's runtime makes a group in each tree: ${reasons.join("; ")}`,
  });
}
