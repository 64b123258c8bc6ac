/** Numbered datagrams to the service while it is taken over, and what a bench tells of them. */
import type { BoardName } from "../../src/board/board.ts";
import type { Namespace } from "../../test/fixtures/namespaces.ts";
import type {
  DatagramResult,
  DatagramResultByAnswers,
  DatagramSettings,
} from "../../test/fixtures/traffic/datagrams.ts";
import type { Course } from "../../test/fixtures/traffic/holder-walk.ts";
import type { Verdict, VerdictByAnswers } from "../../test/fixtures/traffic/judge.ts";
import { DatagramsToMachines, DatagramTraffic } from "../../test/fixtures/traffic/traffic.ts";
import { notZero, type TrafficFigures } from "./figures.ts";
import type { TakeoversDone } from "./take-over.ts";

/** Before and after a takeover either board may have heard a datagram: it was under way, or waited for its reader. */
const underwayMs = 50;
/** The same of machines: when a takeover was, is known from before the journal had it on the disk. */
const underwayToMachinesMs = 250;
/** Where images with echoes answer (demo/images/echoes/datagrams). */
export const echoPort = 5683;

export type DatagramsTold = DatagramResult | DatagramResultByAnswers;

export interface DatagramOrder {
  readonly windowHalfMs: number;
  /** So long a run may take. */
  readonly mostMs: number;
  readonly host: string;
  readonly port: number;
  /** Datagrams a second. */
  readonly rate: number;
  readonly perSocket?: number;
}

/** Begins datagrams, lets `takeOver` do its work, ends them, and judges. Board a holds at first. */
export async function underDatagrams(
  outside: Namespace,
  boards: Readonly<Record<BoardName, Namespace>>,
  order: DatagramOrder,
  takeOver: (traffic: DatagramTraffic) => Promise<TakeoversDone>,
): Promise<[TakeoversDone, DatagramResult]> {
  await using traffic = await DatagramTraffic.make(outside, boards, settingsOf(order));
  await traffic.start();
  const done = await takeOver(traffic);
  return [done, await traffic.stop(courseOf(done, order.windowHalfMs))];
}

/** As `underDatagrams`, to machines whose images have the echoes. */
export async function underDatagramsToMachines(
  outside: Namespace,
  order: DatagramOrder,
  takeOver: () => Promise<TakeoversDone>,
): Promise<[TakeoversDone, DatagramResultByAnswers]> {
  await using traffic = new DatagramsToMachines(outside, settingsOf(order));
  await traffic.start();
  const done = await takeOver();
  return [done, await traffic.stop(courseOfMachines(done, order.windowHalfMs))];
}

function settingsOf({ mostMs, host, port, rate, perSocket }: DatagramOrder): DatagramSettings {
  return {
    host,
    port,
    ...(perSocket === undefined ? {} : { perSocket }),
    everyUs: 1e6 / rate,
    capacity: Math.ceil((mostMs * rate) / 1000),
    urgent: true,
  };
}

export function courseOf({ done }: TakeoversDone, windowHalfMs: number): Course {
  return { holder: done[0]?.to === "a" ? "b" : "a", takeovers: done, windowHalfMs, underwayMs };
}

export function courseOfMachines(done: TakeoversDone, windowHalfMs: number): Course {
  return { ...courseOf(done, windowHalfMs), underwayMs: underwayToMachinesMs };
}

export function datagramFigures(result: DatagramsTold): TrafficFigures {
  const { sent, failed, lost, doubled, reordered, aroundTakeovers, elsewhere } = result;
  return {
    sent,
    failed: Object.values(failed).reduce((sum, count) => sum + count, 0),
    lost,
    doubled,
    reordered,
    longestGapMs: aroundTakeovers.longestMs,
    baselineLongestGapMs: elsewhere.longestMs,
  };
}

/** What else the run tells. */
export function moreOf(result: DatagramsTold): Record<string, unknown> {
  const { sending } = result;
  return {
    longestGapTakeover: result.aroundTakeovers.longestIn + 1,
    gapP50Ms: result.aroundTakeovers.p50Ms,
    baselineGapP50Ms: result.elsewhere.p50Ms,
    gapP99Ms: result.aroundTakeovers.p99Ms,
    baselineGapP99Ms: result.elsewhere.p99Ms,
    wholeRunLongestGapMs: result.longestGapMs,
    lostThere: result.lostThere,
    lostBack: result.lostBack,
    lostPerTakeover: result.lostPerTakeover,
    heardByBoth: result.heardByBoth,
    heardByWrong: result.heardByWrong,
    answeredBy: result.answeredBy,
    foreign: result.foreign,
    longestRoundTripMs: result.longestRoundTripMs,
    harnessLost: result.overflowed,
    senderLateP50Ms: sending.lateP50Ms,
    senderLateP99Ms: sending.lateP99Ms,
    senderLateWorstMs: sending.lateWorstMs,
    senderLongestGapMs: sending.aroundTakeovers.longestMs,
    senderBaselineLongestGapMs: sending.elsewhere.longestMs,
    failedBy: result.failed,
  };
}

/** One board holds, and it alone hears. */
export function fenceComplaints({ heardByBoth, heardByWrong }: Verdict | VerdictByAnswers): string[] {
  return notZero({ heardByBoth, heardByWrong });
}

/** A loss of the harness's own makes the others' doubtful. */
export function harnessComplaints({ overflowed }: DatagramsTold): string[] {
  return overflowed === 0 ? [] : [`the harness itself lost ${overflowed} datagrams: measure again`];
}
