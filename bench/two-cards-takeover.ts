/** Numbered datagrams through a learning switch to a service that moves from one card of the device to the other. */
import type { FamilyName } from "../test/fixtures/routed/lab.ts";
import { serviceAddresses } from "../test/fixtures/switch-lab.ts";
import { openBoardsLab } from "../test/fixtures/two-cards/boards.ts";
import { type Bench, type BenchResult, type BenchRun, wholeNumber } from "./bench.ts";
import {
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

const promised = { lostP50: 0, lostWorst: 5, moreMs: 10 } as const;

export const bench: Bench = {
  name: "two-cards-takeover",
  summary:
    "datagrams to a service that moves from card to card of one switch: lost at each takeover, longest gap",
  options: {
    ...takeoverOptions({ takeovers: 25, everyMs: 1000, windowHalfMs: 50 }),
    rate: {
      value: "N",
      meaning: "datagrams a second, 10 to 20000",
      default: { namespace: "1000", qemu: "200" },
    },
    family: familyOption,
  },
  needsRoot: true,
  run: twoCardsTakeover,
};

async function twoCardsTakeover({ options, ...run }: BenchRun): Promise<BenchResult> {
  const boards = readBoards(options);
  const order = { rate: wholeNumber(options, "rate", 10, 20_000), family: readFamily(options) };
  const under = boards === "qemu" ? underMachines : underStandIns;
  const [done, result] = await under(options, order, run);
  const traffic = datagramFigures(result);
  return takeoverResult("two-cards-takeover", done, traffic, { boards, ...moreOf(result) }, [
    ...notZero({ failed: traffic.failed, doubled: traffic.doubled }),
    ...lossComplaints(result),
    ...fenceComplaints(result),
    ...longerThan(traffic, promised.moreMs),
    ...harnessComplaints(result),
  ]);
}

type Run = Omit<BenchRun, "options">;
interface Order {
  readonly rate: number;
  readonly family: FamilyName;
}

async function underStandIns(
  options: BenchRun["options"],
  { rate, family }: Order,
  run: Run,
): Promise<[TakeoversDone, DatagramsTold]> {
  const read = readTakeoverOptions(options);
  await using lab = await switchedLab("two-cards");
  const daemon = lab.daemon();
  await daemon.setUp(run.signal);
  await daemon.handOver("a", run.signal);
  const { device, outside } = lab.namespaces;
  const order = { count: read.takeovers, everyMs: read.everyMs, afterwards: "fence" } as const;
  return await underDatagrams(
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
}

async function underMachines(
  options: BenchRun["options"],
  { rate, family }: Order,
  run: Run,
): Promise<[TakeoversDone, DatagramsTold]> {
  const { takeovers, ...read } = readMachineOptions(options);
  await using lab = await openBoardsLab("qemu", run.signal);
  await installBoth(lab, run);
  return await underDatagramsToMachines(
    lab.wires.namespaces.outside,
    { ...read, host: serviceAddresses[family], port, rate },
    async () => await takeOverMachines(lab, { count: takeovers, windowHalfMs: read.windowHalfMs }, run),
  );
}

function lossComplaints({ lostPerTakeover, lostBeforeTakeovers }: DatagramsTold): string[] {
  const { p50, worst } = lostPerTakeover;
  return [
    ...(p50 > promised.lostP50 ? [`${p50} datagrams are lost at the median takeover`] : []),
    ...(worst > promised.lostWorst
      ? [`${worst} datagrams were lost at one takeover, more than ${promised.lostWorst}`]
      : []),
    ...notZero({ lostBeforeTakeovers }),
  ];
}
