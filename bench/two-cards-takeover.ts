/** Numbered datagrams through a learning switch to a service that moves from one card of the device to the other. */
import { serviceAddresses } from "../test/fixtures/switch-lab.ts";
import type { Verdict } from "../test/fixtures/traffic/judge.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";
import {
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
const promised = { lostP50: 0, lostWorst: 5, moreMs: 10 } as const;

export const bench: Bench = {
  name: "two-cards-takeover",
  summary:
    "datagrams to a service that moves from card to card of one switch: lost at each takeover, longest gap",
  options: {
    ...takeoverOptions({ takeovers: 25, everyMs: 1000, windowHalfMs: 50 }),
    rate: { value: "N", meaning: "datagrams a second, 10 to 20000", default: "1000" },
    family: familyOption,
  },
  needsRoot: true,
  run: twoCardsTakeover,
};

async function twoCardsTakeover({ options, signal, say }: BenchRun): Promise<BenchResult> {
  refuseMachines(options);
  const read = readTakeoverOptions(options);
  const rate = wholeNumber(options, "rate", 10, 20_000);
  const family = readFamily(options);
  await using lab = await switchedLab("two-cards");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const { device, outside } = lab.namespaces;
  const target = { host: serviceAddresses[family], port };
  const order = { count: read.takeovers, everyMs: read.everyMs, afterwards: "fence" } as const;
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
  const traffic = datagramFigures(result);
  return takeoverResult("two-cards-takeover", done, traffic, moreOf(result), [
    ...notZero({ failed: traffic.failed, doubled: traffic.doubled }),
    ...lossComplaints(result),
    ...fenceComplaints(result),
    ...longerThan(traffic, promised.moreMs),
    ...harnessComplaints(result),
  ]);
}

function lossComplaints({ lostPerTakeover, lostBeforeTakeovers }: Verdict): string[] {
  const { p50, worst } = lostPerTakeover;
  return [
    ...(p50 > promised.lostP50 ? [`${p50} datagrams are lost at the median takeover`] : []),
    ...(worst > promised.lostWorst
      ? [`${worst} datagrams were lost at one takeover, more than ${promised.lostWorst}`]
      : []),
    ...notZero({ lostBeforeTakeovers }),
  ];
}
