/** How many processes a container may have (kernel documentation, admin-guide/cgroup-v1/pids; the same files in version 2). */
import { join } from "node:path";
import { findCgroupTrees } from "../../system/cgroup-trees.ts";
import { readAtOnce } from "../../system/memory-file.ts";
import type { ContainerGroup } from "./container-group.ts";

/** One that has so few left is told of: a runtime needs some to run a hook. */
const spare = 2;

/** Why the board can begin no more, as a sentence; nothing while it can, or where nobody counts. */
export async function processLacks(container: ContainerGroup): Promise<string[]> {
  const tree = (await findCgroupTrees()).of("pids");
  if (tree === undefined) return [];
  const numberIn = (file: string): number =>
    Number.parseInt(readAtOnce(join(tree.home, container.path, file)) ?? "", 10);
  const [has, most] = [numberIn("pids.current"), numberIn("pids.max")];
  // No limit is a word, and no number.
  return has >= most - spare ? [`it has all the processes and threads that it may have (${most})`] : [];
}
