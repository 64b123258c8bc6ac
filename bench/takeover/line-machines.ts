/** A serial line of real machines, whose boards give back each byte, while rollbacks move it to and fro. */
import { join } from "node:path";
import { openLab } from "../../demo/lab.ts";
import { type LineFigures, LineService } from "../../src/service/line/line-service.ts";
import { systemNames } from "../../src/system/names.ts";
import { EchoedLine, type EchoedResult } from "../../test/fixtures/line/echoed.ts";
import { serial } from "../../test/fixtures/line/lab.ts";
import { PtyLine } from "../../test/fixtures/pty-line.ts";
import { gapsIn, quietWindows, takeoverWindows } from "../../test/fixtures/traffic/gaps.ts";
import type { BenchResult, BenchRun } from "../bench.ts";
import { notZero, takeoverResult } from "./figures.ts";
import { installBoth, probation, takeOverMachines } from "./machines.ts";
import type { MachineOptions } from "./options.ts";
import type { TakeoversDone } from "./take-over.ts";

interface Order extends MachineOptions {
  /** Bytes a second each way. */
  readonly rate: number;
  /** What the boards see. */
  readonly port: "virtio" | "tty";
}

const name = "plc";

export async function serialMachines(
  bench: string,
  { takeovers: count, windowHalfMs, rate, port }: Order,
  run: Omit<BenchRun, "options">,
): Promise<BenchResult> {
  const { signal } = run;
  await using lab = await openLab(signal, { probation });
  await using line = await PtyLine.make(lab.directory);
  const { baud } = serial;
  const service = `  - { name: ${name}, serial: ${line.path}, baud: ${baud}, port: ${port} }`;
  await lab.configure({ services: [service] }, signal);
  await installBoth(lab, run);
  await using far = await line.far();
  using traffic = new EchoedLine(far, rate);
  await traffic.start();
  const before = await brokerFigures(lab.system, line.path);
  const over = { ...run, signal: AbortSignal.any([signal, traffic.broken]) };
  const done = await takeOverMachines(lab, { count, windowHalfMs }, over).catch((error: unknown) => {
    traffic.broken.throwIfAborted();
    throw error;
  });
  const result = await traffic.stop();
  const after = await brokerFigures(lab.system, line.path);
  return resultOf(bench, done, result, {
    windowHalfMs,
    // Each was given to a board while it held, and given back by it when it did not any more.
    late: after.refusedBytes - before.refusedBytes,
    more: { boards: "qemu", port, rate, unreachedBytes: after.lostBytes - before.lostBytes },
  });
}

function resultOf(
  bench: string,
  done: TakeoversDone,
  { sent, missing, doubled, reordered, arrivals, endedMs }: EchoedResult,
  told: { windowHalfMs: number; late: number; more: Readonly<Record<string, unknown>> },
): BenchResult {
  const { windowHalfMs, late, more } = told;
  const around = gapsIn(arrivals, endedMs, takeoverWindows(done.done, windowHalfMs));
  const elsewhere = gapsIn(arrivals, endedMs, quietWindows(done.done, windowHalfMs));
  const traffic = {
    // Both ways, but what nobody was to give back.
    sent: 2 * sent - late,
    failed: 0,
    lost: missing - late,
    doubled,
    reordered,
    longestGapMs: around.longestMs,
    baselineLongestGapMs: elsewhere.longestMs,
  };
  if (traffic.lost < 0)
    throw new Error(`the broker threw away ${late} bytes, and no more than ${missing} are missing`);
  const figures = {
    late,
    longestGapTakeover: around.longestIn + 1,
    gapP50Ms: around.p50Ms,
    baselineGapP50Ms: elsewhere.p50Ms,
    ...more,
  };
  const { lost } = traffic;
  return takeoverResult(bench, done, traffic, figures, notZero({ lost, doubled, reordered }));
}

/** What the line's broker has counted. Errors: it does not run. */
async function brokerFigures(system: string, device: string): Promise<LineFigures> {
  const nobody = { path: join(device, "nobody"), uid: 0 };
  const service = new LineService({
    names: systemNames(system),
    line: { name, bufferBytes: 65_536, outside: { ...serial, device } },
    ports: { a: nobody, b: nobody },
  });
  const figures = await service.figures();
  if (figures === null) throw new Error(`line ${name} has no broker`);
  return figures;
}
