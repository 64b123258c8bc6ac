/** What a board can be: a QEMU machine or an OCI container. */

export const boardKinds = ["qemu", "container"] as const;
export type BoardKind = (typeof boardKinds)[number];

/** As sentences have it. */
export const kindWords: Readonly<Record<BoardKind, string>> = { qemu: "a machine", container: "a container" };
