/**
 * How deep a board that is relieved sleeps (docs/dormancy.md):
 * - *warm*: it is paused with its memory, and wakes in milliseconds;
 * - *lean*: the same, but memory that it can spare is given back to the host first;
 * - *off*: it is stopped, and the way back to it is a boot.
 */
export const dormancyDepths = ["warm", "lean", "off"] as const;
export type DormancyDepth = (typeof dormancyDepths)[number];
