/**
 * How a program gets into a board's control group of version 2, whose groups have processes at their ends alone ("No Internal Process
 * Constraint", kernel documentation, admin-guide/cgroup-v2). Scripts of sh(1): only a process itself can be put there before it begins.
 */
import { join } from "node:path";

/** The board has no container: what an earlier one was given is taken back, so that there may be a process, which then makes this its namespace's top. */
const atTop = `for name in $(cat "$1/cgroup.subtree_control"); do echo "-$name" >"$1/cgroup.subtree_control" || :; done
echo "$$" >"$1/cgroup.procs" || exit
shift
exec "$@"`;

/** Where control groups are a namespace's own, nobody in it can move what comes from outside (mount option `nsdelegate`). */
const amongHelpers = `echo "$$" >"$1/cgroup.procs" || exit
shift
exec "$@"`;

/** The command line, begun in the board's group. @param top directory of that. */
export function fromTop(top: string, command: readonly string[]): string[] {
  return ["sh", "-c", atTop, "sh", top, ...command];
}

/** The command line, begun beside the board's helpers. */
export function fromHelpers(top: string, command: readonly string[]): string[] {
  return ["sh", "-c", amongHelpers, "sh", join(top, "host"), ...command];
}
