/**
 * A board's helpers on the host: the launch script, what that began, and the runtime. Each of them may be killed while the board lives: what
 * can be done without it still is, and the rest is told.
 */
import { join } from "node:path";
import { readAtOnce } from "../../system/memory-file.ts";
import type { ContainerGroup } from "./container-group.ts";
import { type ContainerProcess, findMonitor, killedInItsSleep, type Trace } from "./container-process.ts";
import { recordFiles } from "./launch-script.ts";
import { type RuntimeName, runtimeNames } from "./runtime.ts";
import { runtimeAtWork } from "./runtime-process.ts";

export class ContainerHelpers {
  readonly #records: string;
  readonly #group: ContainerGroup;

  constructor(records: string, group: ContainerGroup) {
    this.#records = records;
    this.#group = group;
  }

  /**
   * Process id of one that sees the host as the runtime did when it made the container: the launch script, or what that began. `undefined`:
   * none is left.
   */
  async witness(): Promise<number | undefined> {
    return (await findMonitor(this.#records)) ?? (await this.#group.helpers())[0];
  }

  /** The runtime that the board was started with, whatever the configuration says now; no other knows of its container. */
  async runtime(): Promise<RuntimeName | undefined> {
    const name = readAtOnce(join(this.#records, recordFiles.runtimeName))?.trim();
    return runtimeNames.find((one) => one === name);
  }

  /** Whether somebody takes down what the board says. */
  async hears(): Promise<boolean> {
    return (await this.#programs()).includes("socat");
  }

  /** Of a board that sleeps: why it is of no use, though it is there. Without any helper it could be woken, and none of its hooks run. */
  async lostInItsSleep(process: ContainerProcess): Promise<Trace | undefined> {
    const killed = killedInItsSleep(process);
    if (killed !== undefined || (await this.witness()) !== undefined) return killed;
    const end = { cause: "exit", detail: "what started it was killed while it slept" } as const;
    return { process, alive: false, end, isLeft: true };
  }

  /** What goes without, as sentences; nothing if all are there. Of a board that runs or sleeps. */
  async lacks(): Promise<string[]> {
    const pids = await this.#group.helpers();
    const programs = await this.#programs(pids);
    const runtime = (await this.runtime()) ?? "the runtime";
    const gone = [
      ...((await findMonitor(this.#records)) === undefined ? ["its launch script"] : []),
      ...((await runtimeAtWork(runtime, pids)) === undefined ? [runtime] : []),
    ];
    return [
      ...(gone.length > 0
        ? [
            `${gone.join(" and ")} ${gone.length === 1 ? "was" : "were"} killed: how it ends will be known to nobody`,
          ]
        : []),
      ...(programs.includes("socat")
        ? []
        : ["the helper that hears it was killed: what it says, also that it lives, reaches nobody"]),
      ...(programs.includes("cat")
        ? []
        : ["the helper of its console was killed: nothing more is written down"]),
    ];
  }

  /** Their names (proc(5), `/proc/PID/comm`). */
  async #programs(pids?: readonly number[]): Promise<string[]> {
    return (pids ?? (await this.#group.helpers())).map((pid) =>
      (readAtOnce(`/proc/${pid}/comm`) ?? "").trim(),
    );
  }
}
