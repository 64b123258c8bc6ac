/** Takeovers of real machines in the demo's lab: two versions are installed, and rollbacks go to and fro between them. */
import { setTimeout as sleep } from "node:timers/promises";
import { ownBundle } from "../../demo/bundles.ts";
import { type Lab, openLab } from "../../demo/lab.ts";
import type { JournalRecord } from "../../src/upgrade/record.ts";
import { quietWindows } from "../../test/fixtures/traffic/gaps.ts";
import { monotonicMs } from "../../test/fixtures/traffic/monotonic.ts";
import type { TimedTakeover } from "../../test/fixtures/traffic/takeovers.ts";
import type { BenchRun } from "../bench.ts";
import type { TakeoversDone } from "./take-over.ts";

/** As short as is honest: what fails at once is found. */
const probation = "1s";

/** Both boards are installed, and one of them serves. */
export async function machineLab(signal: AbortSignal): Promise<Lab> {
  await using partial = new AsyncDisposableStack();
  const lab = partial.use(await openLab(signal, { probation }));
  for (const version of ["1.0.0", "2.0.0"]) {
    const bundle = await ownBundle(version, lab.signing, lab.directory, signal);
    const { outcome, error } = await lab.device.upgrade(bundle, () => undefined, signal);
    if (outcome !== "committed")
      throw new Error(`the upgrade to ${version} is ${outcome}: ${error?.message ?? "no reason given"}`);
  }
  partial.move();
  return lab;
}

/** Each with all that a rollback is: waking, verifying, probation, drain, going dormant. Errors: one is not committed. */
export async function takeOverMachines(
  lab: Lab,
  { count, windowHalfMs }: { readonly count: number; readonly windowHalfMs: number },
  { signal, say }: Pick<BenchRun, "signal" | "say">,
): Promise<TakeoversDone> {
  const done: TimedTakeover[] = [];
  while (done.length < count) {
    const records: JournalRecord[] = [];
    const { outcome, error } = await lab.device.rollback((record) => records.push(record), signal);
    if (outcome !== "committed") throw new Error(`a rollback is ${outcome}: ${error?.message ?? ""}`);
    const { holder } = await lab.device.status(signal);
    if (holder === null) throw new Error("no board is in service");
    const { takeoverAt, takeoverMs } = timesIn(records);
    const beganMs = monotonicMs() - Date.now() + takeoverAt;
    done.push({ to: holder, beganMs, endedMs: beganMs + takeoverMs, ms: takeoverMs });
    say(`${done.length} of ${count} takeovers`);
  }
  // The last window without a takeover is part of the run.
  const last = quietWindows(done, windowHalfMs).at(-1)?.toMs ?? 0;
  await sleep(Math.max(0, last + windowHalfMs - monotonicMs()), undefined, { signal });
  return { done, kernelMs: null };
}

function timesIn(records: readonly JournalRecord[]): { takeoverAt: number; takeoverMs: number } {
  const told = (key: string): number => {
    const value = records.findLast(({ data }) => data[key] !== undefined)?.data[key];
    if (typeof value !== "number") throw new Error(`the journal has no ${key}`);
    return value;
  };
  return { takeoverAt: told("takeoverAt"), takeoverMs: told("takeoverMs") };
}
