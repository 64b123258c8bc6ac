/** Numbered datagrams, and frames that are no IP, to a bridged service while it is taken over to and fro. */
import { systemNames } from "../src/system/names.ts";
import { openBoardsLab } from "../test/fixtures/bridged/boards.ts";
import type { FamilyName } from "../test/fixtures/routed/lab.ts";
import { serviceAddresses, serviceMac } from "../test/fixtures/switch-lab.ts";
import { FrameAsker, FrameTraffic } from "../test/fixtures/traffic/frames.ts";
import { judgeByAnswers, type Verdict, type VerdictByAnswers } from "../test/fixtures/traffic/judge.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";
import {
  courseOf,
  courseOfMachines,
  type DatagramsTold,
  datagramFigures,
  fenceComplaints,
  harnessComplaints,
  moreOf,
  echoPort as port,
  underDatagrams,
  underDatagramsToMachines,
} from "./takeover/datagrams.ts";
import { longerThan, notZero, takeoverResult } from "./takeover/figures.ts";
import { installBoth, takeOverMachines } from "./takeover/machines.ts";
import {
  familyOption,
  readBoards,
  readFamily,
  readMachineOptions,
  readTakeoverOptions,
  takeoverOptions,
} from "./takeover/options.ts";
import { freshen, switchedLab } from "./takeover/switched.ts";
import { type TakeoversDone, takeOver } from "./takeover/take-over.ts";

const promisedMoreMs = 1;

export const bench: Bench = {
  name: "bridged-takeover",
  summary:
    "datagrams and raw frames to a bridged service while it is taken over to and fro: lost, doubled, longest gap",
  options: {
    ...takeoverOptions({ takeovers: 40, everyMs: 500, windowHalfMs: 25 }),
    rate: {
      value: "N",
      meaning: "datagrams a second, 10 to 20000",
      default: { namespace: "10000", qemu: "200" },
    },
    frames: {
      value: "N",
      meaning: "frames of another EtherType a second beside them, 0 to 2000",
      default: { namespace: "200", qemu: "50" },
    },
    family: familyOption,
  },
  needsRoot: true,
  run: bridgedTakeover,
};

type Run = Omit<BenchRun, "options">;
interface Order {
  readonly rate: number;
  readonly framesPerSecond: number;
  readonly family: FamilyName;
}
interface Told {
  readonly done: TakeoversDone;
  readonly result: DatagramsTold;
  /** `undefined`: there were none. */
  readonly framed: Verdict | VerdictByAnswers | undefined;
}

async function bridgedTakeover({ options, ...run }: BenchRun): Promise<BenchResult> {
  const boards = readBoards(options);
  const order: Order = {
    rate: wholeNumber(options, "rate", 10, 20_000),
    framesPerSecond: wholeNumber(options, "frames", 0, 2000),
    family: readFamily(options),
  };
  const under = boards === "qemu" ? underMachines : underStandIns;
  const { done, result, framed } = await under(options, order, run);
  const traffic = datagramFigures(result);
  const more = { boards, ...moreOf(result), frames: framed ?? null };
  return takeoverResult("bridged-takeover", done, traffic, more, [
    ...notZero({ failed: traffic.failed, lost: traffic.lost, doubled: traffic.doubled }),
    ...fenceComplaints(result),
    ...longerThan(traffic, promisedMoreMs),
    ...harnessComplaints(result),
    ...(framed === undefined ? [] : frameComplaints(framed)),
  ]);
}

async function underStandIns(
  options: BenchRun["options"],
  { rate, framesPerSecond, family }: Order,
  run: Run,
): Promise<Told> {
  const read = readTakeoverOptions(options);
  await using lab = await switchedLab("bridged");
  const daemon = lab.daemon();
  await daemon.setUp(run.signal);
  await daemon.handOver("a", run.signal);
  const { device, outside } = lab.namespaces;
  await using frames =
    framesPerSecond === 0
      ? undefined
      : await FrameTraffic.make(outside, lab.boards, {
          to: serviceMac,
          everyUs: 1e6 / framesPerSecond,
          urgent: true,
        });
  const order = { count: read.takeovers, everyMs: read.everyMs, afterwards: "fence" } as const;
  await frames?.start();
  const [done, result] = await underDatagrams(
    outside,
    lab.boards,
    { ...read, host: serviceAddresses[family], port, rate },
    async (traffic) =>
      await takeOver(
        daemon,
        device,
        { ...order, freshen: async (standby) => await freshen(lab, traffic, standby) },
        run,
      ),
  );
  return { done, result, framed: await frames?.stop(courseOf(done, read.windowHalfMs)) };
}

async function underMachines(
  options: BenchRun["options"],
  { rate, framesPerSecond, family }: Order,
  run: Run,
): Promise<Told> {
  const { takeovers, ...read } = readMachineOptions(options);
  await using lab = await openBoardsLab("qemu", run.signal);
  await installBoth(lab, run);
  const { outside } = lab.namespaces;
  const { sharedMac: to } = systemNames(lab.system);
  await using frames =
    framesPerSecond === 0
      ? undefined
      : new FrameAsker(outside, { to, everyUs: 1e6 / framesPerSecond, urgent: true });
  await frames?.start();
  const [done, result] = await underDatagramsToMachines(
    outside,
    { ...read, host: serviceAddresses[family], port, rate },
    async () => await takeOverMachines(lab, { count: takeovers, windowHalfMs: read.windowHalfMs }, run),
  );
  if (frames === undefined) return { done, result, framed: undefined };
  const course = courseOfMachines(done, read.windowHalfMs);
  return { done, result, framed: judgeByAnswers(await frames.stop(), frames.everyMs, course) };
}

function frameComplaints({ lost, doubled, heardByBoth, heardByWrong }: Verdict | VerdictByAnswers): string[] {
  return notZero({ lost, doubled, heardByBoth, heardByWrong }).map((line) => `frames: ${line}`);
}
