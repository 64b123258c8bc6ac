/** Numbered datagrams, and frames that are no IP, to a bridged service while it is taken over to and fro. */
import { serviceAddresses, serviceMac } from "../test/fixtures/switch-lab.ts";
import { FrameTraffic } from "../test/fixtures/traffic/frames.ts";
import type { Verdict } from "../test/fixtures/traffic/judge.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";
import {
  courseOf,
  datagramFigures,
  fenceComplaints,
  harnessComplaints,
  moreOf,
  underDatagrams,
} from "./takeover/datagrams.ts";
import { longerThan, notZero, takeoverResult } from "./takeover/figures.ts";
import {
  familyOption,
  readFamily,
  readTakeoverOptions,
  refuseMachines,
  takeoverOptions,
} from "./takeover/options.ts";
import { freshen, switchedLab } from "./takeover/switched.ts";
import { takeOver } from "./takeover/take-over.ts";

const port = 5683;
const promisedMoreMs = 1;

export const bench: Bench = {
  name: "bridged-takeover",
  summary:
    "datagrams and raw frames to a bridged service while it is taken over to and fro: lost, doubled, longest gap",
  options: {
    ...takeoverOptions({ takeovers: 40, everyMs: 500, windowHalfMs: 25 }),
    rate: { value: "N", meaning: "datagrams a second, 10 to 20000", default: "10000" },
    frames: {
      value: "N",
      meaning: "frames of another EtherType a second beside them, 0 to 2000",
      default: "200",
    },
    family: familyOption,
  },
  needsRoot: true,
  run: bridgedTakeover,
};

async function bridgedTakeover({ options, signal, say }: BenchRun): Promise<BenchResult> {
  refuseMachines(options);
  const read = readTakeoverOptions(options);
  const rate = wholeNumber(options, "rate", 10, 20_000);
  const framesPerSecond = wholeNumber(options, "frames", 0, 2000);
  const family = readFamily(options);
  await using lab = await switchedLab("bridged");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const { device, outside } = lab.namespaces;
  await using frames =
    framesPerSecond === 0
      ? undefined
      : await FrameTraffic.make(outside, lab.boards, {
          to: serviceMac,
          everyUs: 1e6 / framesPerSecond,
          urgent: true,
        });
  const target = { host: serviceAddresses[family], port };
  const order = { count: read.takeovers, everyMs: read.everyMs, afterwards: "fence" } as const;
  await frames?.start();
  const [done, result] = await underDatagrams(
    outside,
    lab.boards,
    { ...read, ...target, rate },
    async (traffic) =>
      await takeOver(
        daemon,
        device,
        { ...order, freshen: async (standby) => await freshen(lab, traffic, standby) },
        { signal, say },
      ),
  );
  const framed = await frames?.stop(courseOf(done, read.windowHalfMs));
  const traffic = datagramFigures(result);
  return takeoverResult("bridged-takeover", done, traffic, { ...moreOf(result), frames: framed ?? null }, [
    ...notZero({ failed: traffic.failed, lost: traffic.lost, doubled: traffic.doubled }),
    ...fenceComplaints(result),
    ...longerThan(traffic, promisedMoreMs),
    ...harnessComplaints(result),
    ...(framed === undefined ? [] : frameComplaints(framed)),
  ]);
}

function frameComplaints({ lost, doubled, heardByBoth, heardByWrong }: Verdict): string[] {
  return notZero({ lost, doubled, heardByBoth, heardByWrong }).map((line) => `frames: ${line}`);
}
