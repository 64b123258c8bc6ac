/**
 * How much a board ran and waited for a processor, from a few moments of it. The scheduler's account of threads, which tells that of a
 * machine, is gone with each thread that ends, and a container that boots begins and ends many. So a moment counts as waiting if something
 * of the board could run at its beginning and at its end, for as long as nothing ran in between.
 */
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stretch } from "../../system/least-share.ts";
import { readAtOnce } from "../../system/memory-file.ts";
import type { ContainerGroup } from "./container-group.ts";

const moments = 2;
const momentMs = 25;

interface Glance {
  readonly atMs: number;
  readonly cpuNs: number;
  readonly wants: boolean;
}

export class ContainerSchedule {
  readonly #group: ContainerGroup;

  /** @param group also its helpers are looked at: a board that is being started is their work. */
  constructor(group: ContainerGroup) {
    this.#group = group;
  }

  /** What it does from now on for a twentieth of a second; `undefined` of a board that sleeps or is off. */
  async look(): Promise<Stretch | undefined> {
    if (await this.#group.isFrozen()) return undefined;
    let before = await this.#glance();
    let [ran, waited, passed] = [0, 0, 0];
    for (let count = 0; count < moments && before !== undefined; count += 1) {
      await sleep(momentMs, undefined, { ref: false });
      const after = await this.#glance();
      if (after !== undefined) {
        const passedNs = (after.atMs - before.atMs) * 1e6;
        const runNs = Math.max(0, after.cpuNs - before.cpuNs);
        ran += runNs;
        waited += before.wants && after.wants ? Math.max(0, passedNs - runNs) : 0;
        passed += passedNs;
      }
      before = after;
    }
    return before === undefined ? undefined : { runNs: ran, waitNs: waited, passedNs: passed };
  }

  async #glance(): Promise<Glance | undefined> {
    const load = await this.#group.load();
    if (load === undefined || load.pids.length === 0) return undefined;
    return { atMs: performance.now(), cpuNs: load.cpuNs, wants: load.pids.some(wantsProcessor) };
  }
}

/** Whether one of its threads runs or could (proc(5), field 3 of `/proc/PID/task/TID/stat`); not if it has ended. */
function wantsProcessor(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).some((thread) => {
      const stat = readAtOnce(`/proc/${pid}/task/${thread}/stat`) ?? "";
      return stat[stat.lastIndexOf(")") + 2] === "R";
    });
  } catch {
    return false;
  }
}
