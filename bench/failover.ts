/** The board in service is killed again and again while nothing is upgraded: how soon the dormant one serves. */
import { setTimeout as sleep } from "node:timers/promises";
import { lastMoveOf } from "../demo/act.ts";
import { serviceAddress } from "../demo/addresses.ts";
import { ownBundle } from "../demo/bundles.ts";
import { type Lab, openLab } from "../demo/lab.ts";
import { type Load, startLoad } from "../demo/load/load.ts";
import { now, type Plan } from "../demo/load/request.ts";
import type { JournalRecord } from "../src/upgrade/record.ts";
import {
  type Bench,
  type BenchResult,
  type BenchRun,
  realBoards,
  realBoardsOption,
  wholeNumber,
} from "./bench.ts";

const probation = "1s";
const promisedMs = 100;
/** A fourth failover within ten minutes is refused; a rollback that is asked for counts anew. */
const killsInARow = 2;
/** So fine is what clients can tell: one new connection after the other, each with an end of its own. */
const plans: readonly Plan[] = [
  { kind: "quick", url: `http://${serviceAddress}/`, intervalMs: 10, timeoutMs: 10_000 },
];

export const bench: Bench = {
  name: "failover",
  summary: "the board in service is killed outside an upgrade: how soon the dormant one serves",
  options: {
    boards: realBoardsOption,
    count: { value: "N", meaning: "kills, 1 to 100", default: "10" },
  },
  needsRoot: true,
  run: failovers,
};

/** Milliseconds. */
interface Failover {
  /** From the kill until the daemon knew. */
  readonly noticed: number;
  /** From then until the takeover's transaction began. */
  readonly takeover: number;
  /** From when the daemon knew until a client had an answer to a connection that it began after the kill. */
  readonly served: number;
}

async function failovers({ options, signal, say }: BenchRun): Promise<BenchResult> {
  const count = wholeNumber(options, "count", 1, 100);
  const kind = realBoards(options);
  await using lab = await openLab(signal, { kind, probation });
  for (const version of ["1.0.0", "2.0.0"]) {
    const bundle = await ownBundle(version, lab.signing, lab.directory, signal, kind);
    const { outcome, error } = await lab.device.upgrade(bundle, () => undefined, signal);
    if (outcome !== "committed")
      throw new Error(`the upgrade to ${version} is ${outcome}: ${error?.message ?? ""}`);
  }
  await using load = startLoad(plans, (command, args) => lab.namespaces.outside.enter(command, args));
  const found: Failover[] = [];
  while (found.length < count) {
    if (found.length > 0 && found.length % killsInARow === 0) await rollBack(lab, signal);
    found.push(await killAndSee(lab, load, signal));
    const { noticed, takeover, served } = found.at(-1) ?? { noticed: 0, takeover: 0, served: 0 };
    say(
      `kill ${found.length} of ${count}: noticed after ${whole(noticed)} ms, then takeover after ${whole(takeover)} ms ` +
        `and a new client's answer after ${whole(served)} ms`,
    );
  }
  return resultOf(found);
}

/** Errors: it is not committed. */
async function rollBack(lab: Lab, signal: AbortSignal): Promise<void> {
  const { outcome, error } = await lab.device.rollback(() => undefined, signal);
  if (outcome !== "committed") throw new Error(`the rollback is ${outcome}: ${error?.message ?? ""}`);
}

/** Resolves when the other board is warm again. Errors: there was no failover, or it was not committed. */
async function killAndSee(lab: Lab, load: Load, signal: AbortSignal): Promise<Failover> {
  const { holder, boards, seq } = await lab.device.status(signal);
  const pid = holder === null ? null : boards[holder].pid;
  if (holder === null || pid === null) throw new Error("no board is in service");
  await load.settled(now(), signal);
  const records: JournalRecord[] = [];
  const story = lab.device.storyOfItself("failover", seq, (record) => records.push(record), signal);
  const killedAt = now();
  process.kill(pid, "SIGKILL");
  const { outcome, error } = await story;
  if (outcome !== "committed") throw new Error(`the failover is ${outcome}: ${error?.message ?? ""}`);
  await load.settled(now() + 1000, signal);
  const failure = records[0]?.data["failure"] as { readonly at: number } | undefined;
  const movedAt = lastMoveOf(records);
  // The processes of a container are not gone in the moment in which its first one is killed.
  const { version } = boards[holder];
  const answers = load.records.filter(
    (one) => one.outcome === "ok" && one.scheduledAt >= killedAt && one.version !== version,
  );
  const answeredAt = Math.min(...answers.map(({ endedAt }) => endedAt));
  if (failure === undefined || movedAt === null) throw new Error("the journal does not tell of the failover");
  await standby(lab, signal);
  return {
    noticed: failure.at - killedAt,
    takeover: movedAt - failure.at,
    served: answeredAt - failure.at,
  };
}

async function standby(lab: Lab, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { failover, story, stuck } = await lab.device.status(signal);
    if (stuck !== null) throw new Error(stuck.reason);
    if (failover.ready && story === null) return;
    await sleep(100, undefined, { signal });
  }
}

function resultOf(found: readonly Failover[]): BenchResult {
  const rows = (["noticed", "takeover", "served"] as const).map((name) => {
    const sorted = found.map((one) => one[name]).toSorted((one, other) => one - other);
    return { name, p50: sorted[Math.floor((sorted.length - 1) / 2)] ?? 0, longest: sorted.at(-1) ?? 0 };
  });
  const figures = Object.fromEntries([
    ["failovers", found.length],
    ...rows.flatMap(({ name, p50, longest }) => [
      [`${name}P50Ms`, tenth(p50)],
      [`${name}LongestMs`, tenth(longest)],
    ]),
  ]) as Record<string, number>;
  const late = found.filter(({ served }) => served > promisedMs).length;
  return {
    figures,
    table: [["figure", "value"], ...Object.entries(figures).map(([name, value]) => [name, String(value)])],
    complaints:
      late === 0 ? [] : [`${late} of ${found.length} took longer than ${promisedMs} ms from the event on`],
  };
}

function whole(ms: number): string {
  return ms.toFixed(0);
}

function tenth(ms: number): number {
  return Math.round(ms * 10) / 10;
}
