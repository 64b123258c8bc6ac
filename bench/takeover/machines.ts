/** Takeovers of real machines: two versions are installed in a lab, and rollbacks go to and fro between them. */
import { setTimeout as sleep } from "node:timers/promises";
import { ownBundle } from "../../demo/bundles.ts";
import type { Device } from "../../demo/device.ts";
import { type Lab, openLab } from "../../demo/lab.ts";
import type { SigningKey } from "../../demo/signing-key.ts";
import type { JournalRecord } from "../../src/upgrade/record.ts";
import { quietWindows } from "../../test/fixtures/traffic/gaps.ts";
import { monotonicMs } from "../../test/fixtures/traffic/monotonic.ts";
import type { TimedTakeover } from "../../test/fixtures/traffic/takeovers.ts";
import type { BenchRun } from "../bench.ts";
import type { TakeoversDone } from "./take-over.ts";

/** What labs of machines have in common. */
export interface Machines {
  readonly device: Device;
  readonly signing: SigningKey;
  readonly directory: string;
}

type Run = Pick<BenchRun, "signal" | "say">;

/** As short as is honest: what fails at once is found. */
export const probation = "1s";

/**
 * The demo's lab with both boards installed, one of them in service.
 * @param services besides the web server's, each as a line of the configuration.
 */
export async function routedMachines(services: readonly string[], run: Run): Promise<Lab> {
  await using partial = new AsyncDisposableStack();
  const lab = partial.use(await openLab(run.signal, { probation, services }));
  await installBoth(lab, run);
  partial.move();
  return lab;
}

/** Both boards are installed, and one of them serves; they answer the benches' traffic. Errors: an upgrade is not committed. */
export async function installBoth({ device, signing, directory }: Machines, run: Run): Promise<void> {
  const { signal, say } = run;
  say("building and installing two versions");
  for (const version of ["1.0.0", "2.0.0"]) {
    const bundle = await ownBundle({ version, echoes: true }, signing, directory, signal);
    const { outcome, error } = await device.upgrade(bundle, () => undefined, signal);
    if (outcome !== "committed")
      throw new Error(`the upgrade to ${version} is ${outcome}: ${error?.message ?? "no reason given"}`);
  }
}

/** Each with all that a rollback is: waking, verifying, drain, going dormant. Errors: one is not committed. */
export async function takeOverMachines(
  { device }: Pick<Machines, "device">,
  { count, windowHalfMs }: { readonly count: number; readonly windowHalfMs: number },
  { signal, say }: Run,
): Promise<TakeoversDone> {
  const done: TimedTakeover[] = [];
  while (done.length < count) {
    const records: JournalRecord[] = [];
    const { outcome, error } = await device.rollback((record) => records.push(record), signal);
    if (outcome !== "committed") throw new Error(`a rollback is ${outcome}: ${error?.message ?? ""}`);
    const { holder } = await device.status(signal);
    if (holder === null) throw new Error("no board is in service");
    const { takeoverAt, takeoverMs } = timesIn(records);
    const beganMs = monotonicMs() - Date.now() + takeoverAt;
    done.push({ to: holder, beganMs, endedMs: beganMs + takeoverMs, ms: takeoverMs });
    say(`${done.length} of ${count} takeovers`);
    // Between two takeovers are both their windows, a quiet one, and some room.
    const restMs = beganMs + takeoverMs + 8 * windowHalfMs - monotonicMs();
    if (done.length < count && restMs > 0) await sleep(restMs, undefined, { signal });
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
