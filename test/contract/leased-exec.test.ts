/** The integrator's own program against the contract of a leased service: the example's relay card, whose outputs are files here. */
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { BoardName } from "../../src/board/board.ts";
import { ExecService } from "../../src/service/exec/exec.ts";
import { systemNames } from "../../src/system/names.ts";
import { leasedContract } from "./leased.ts";
import type { LeasedSubject } from "./leased-subject.ts";

const program = resolve(import.meta.dirname, "../../examples/exec-service/relay-service");

leasedContract("exec, the example", make, { has: ["inward", "outward", "thing"] });

async function make(): Promise<LeasedSubject> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-exec-"));
  const [select, enable] = [join(directory, "select"), join(directory, "enable")];
  const fill = async (): Promise<void> => {
    for (const output of [select, enable]) await writeFile(output, "0\n");
  };
  await fill();
  const daemon = (): ExecService =>
    new ExecService({
      name: "relay",
      names: systemNames("test", join(directory, "run")),
      exec: [program, "--select", select, "--enable", enable],
      timeoutMs: 10_000,
      drainMs: 10_000,
    });
  /** Whom the cable reaches. */
  const joined = async (): Promise<BoardName | null> => {
    if ((await readFile(enable, "utf8")).trim() !== "1") return null;
    return (await readFile(select, "utf8")).trim() === "0" ? "a" : "b";
  };
  const heard: Record<BoardName | "outside", string[]> = { a: [], b: [], outside: [] };
  return {
    service: daemon(),
    restart: () => Promise.resolve(daemon()),
    inward: {
      duringLease: "lost",
      say: async (line) => {
        const board = await joined();
        if (board !== null) heard[board].push(line);
      },
      heard: (board) => Promise.resolve(heard[board]),
    },
    outward: {
      say: async (board, line) => {
        if ((await joined()) === board) heard.outside.push(line);
      },
      heard: () => Promise.resolve(heard.outside),
    },
    thing: {
      takeAway: async () => await rename(select, join(directory, "pulled")),
      // A card that was without power has forgotten what it was told.
      bringBack: fill,
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}
