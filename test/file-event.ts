/** What `one-file.ts` tells `spawn-file.ts` of the tests of a file, one JSON line each. */
/**
 * Where the results are told. Programs that the tests start inherit it, so it is none of the first, to which a program may write that
 * takes one of them for its own.
 */
export const eventsFd = 9;

export type FileEvent =
  | { readonly type: "began"; readonly name: string }
  | { readonly type: "passed"; readonly name: string }
  | { readonly type: "skipped"; readonly name: string; readonly reason: string | null }
  | { readonly type: "failed"; readonly name: string; readonly detail: string }
  | { readonly type: "ended" }
  | { readonly type: "left"; readonly what: string };
