/** What a board of the benches has besides the demo's software: it answers the tests' traffic, so that a machine can stand where a stand-in does. */
import { appendFile, chmod, cp, mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { compiled } from "../../test/fixtures/traffic/native.ts";

const scripts = join(import.meta.dirname, "echoes");
const programs = ["datagram-echo", "frame-echo"] as const;
/** By init's type of an entry; `lines` is there already, and becomes another. */
const entries = ["::respawn:/etc/init.d/datagrams", "::respawn:/etc/init.d/frames"];

/** What tells one state of the programs from another. Errors: as `addEchoes`. */
export async function echoesDigest(): Promise<string[]> {
  return await Promise.all(programs.map(async (program) => basename(await compiled(program))));
}

/** Adds programs and scripts to a root file system in the making. Errors: `missing-program`, `command-failed` (tcc). */
export async function addEchoes(stage: string): Promise<void> {
  const put = async (from: string, path: string): Promise<void> => {
    await cp(from, join(stage, path));
    await chmod(join(stage, path), 0o755);
  };
  await mkdir(join(stage, "usr/sbin"), { recursive: true });
  for (const program of programs) await put(await compiled(program), `usr/sbin/${program}`);
  for (const script of ["datagrams", "frames", "lines"])
    await put(join(scripts, script), `etc/init.d/${script}`);
  await appendFile(join(stage, "etc/inittab"), `${entries.join("\n")}\n`);
}
