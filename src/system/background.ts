/** Programs of low rank: what serves on this processor and this disk goes first. */

/**
 * The command line that runs another one in the idle class of the disk and at the lowest rank on the processor (ionice(1), nice(1)).
 * What it sends to the disk itself (O_DSYNC, O_DIRECT) has that class; what the kernel writes back for it later has not (ioprio_set(2)).
 */
export function inBackground(command: string, args: readonly string[]): [command: string, args: string[]] {
  return ["ionice", ["-c", "3", "nice", "-n", "19", command, ...args]];
}
