/**
 * How a program gets into a board's control group. Those of version 2 have processes at their ends alone ("No Internal Process
 * Constraint", kernel documentation, admin-guide/cgroup-v2). Scripts of sh(1): only a process itself can be put there before it begins.
 */
import { join } from "node:path";

/** The board has no container: what an earlier one was given is taken back, so that there may be a process, which then makes this its namespace's top. */
const atTop = `for name in $(cat "$1/cgroup.subtree_control"); do echo "-$name" >"$1/cgroup.subtree_control" || :; done
echo "$$" >"$1/cgroup.procs" || exit
shift
exec "$@"`;

/**
 * Where control groups are a namespace's own, nobody in it can move what comes from outside (mount option `nsdelegate`): there it must be. In
 * version 1 it is only that whoever ends the board finds it.
 */
const amongHelpers = `echo "$$" >"$1/cgroup.procs" || [ -z "$2" ] || exit
shift 2
exec "$@"`;

/** The command line, begun in the board's group. @param top directory of that. */
export function fromTop(top: string, command: readonly string[]): string[] {
  return ["sh", "-c", atTop, "sh", top, ...command];
}

/** The command line, begun beside the board's helpers. @param board directory of the board's group. @param must whether it is to fail where it cannot be there. */
export function fromHelpers(board: string, must: boolean, command: readonly string[]): string[] {
  return ["sh", "-c", amongHelpers, "sh", join(board, "host"), must ? "must" : "", ...command];
}
