/** The kit's programs in C, compiled for the boards' images. */
import { join } from "node:path";
import { run } from "../../src/system/process.ts";

const kit = join(import.meta.dirname, "../../kit");

/** By tcc(1), a compiler of a few hundred KiB that needs no library and no header for it. Errors: `missing-program`, `command-failed`. */
export async function compileClock(target: string): Promise<void> {
  await compile("twinboard-clock.c", target);
}

/** As `compileClock`, of the program that speaks on a container's notify socket. */
export async function compileDatagram(target: string): Promise<void> {
  await compile("twinboard-datagram.c", target);
}

async function compile(source: string, target: string): Promise<void> {
  await run("tcc", ["-Wall", "-Werror", "-static", "-nostdlib", "-o", target, join(kit, source)]);
}
