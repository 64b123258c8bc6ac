/** The kit's clock program, compiled for the boards' images. */
import { join } from "node:path";
import { run } from "../../src/system/process.ts";

const source = join(import.meta.dirname, "../../kit/twinboard-clock.c");

/** By tcc(1), a compiler of a few hundred KiB that needs no library and no header for it. Errors: `missing-program`, `command-failed`. */
export async function compileClock(target: string): Promise<void> {
  await run("tcc", ["-Wall", "-Werror", "-static", "-nostdlib", "-o", target, source]);
}
