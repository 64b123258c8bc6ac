/** Real boards in service that die, freeze, or lose the host's rules, while nothing is upgraded: the other one serves, by itself. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { serviceAddress } from "../../demo/addresses.ts";
import { demoBundle, demoImages, versions } from "../../demo/bundles.ts";
import { type Lab, openLab } from "../../demo/lab.ts";
import { startLoad } from "../../demo/load/load.ts";
import { now, type Plan } from "../../demo/load/request.ts";
import { type BoardName, otherBoard } from "../../src/board/board.ts";
import type { BoardKind } from "../../src/board/kind.ts";
import { run } from "../../src/system/process.ts";
import type { JournalRecord } from "../../src/upgrade/record.ts";
import type { SystemStatus } from "../../src/upgrade/status.ts";
import { whyNoContainers } from "../fixtures/container/subject.ts";

const limitMs = 580_000;
const reason = process.getuid?.() === 0 ? false : "needs root: network namespaces, cards, boards";
const ignore = (): void => undefined;

const plans: readonly Plan[] = [
  { kind: "quick", url: `http://${serviceAddress}/`, intervalMs: 20, timeoutMs: 10_000 },
];

async function install(lab: Lab, signal: AbortSignal, kind: BoardKind = "qemu"): Promise<void> {
  const images = await demoImages(ignore, kind);
  for (const version of [versions.first.version, versions.good.version]) {
    const image = images.find((one) => one.version === version);
    assert.ok(image, `an image of ${version}`);
    const bundle = await demoBundle(image, lab.signing, lab.directory, signal);
    const result = await lab.device.upgrade(bundle, ignore, signal);
    assert.equal(result.outcome, "committed", JSON.stringify(result));
  }
}

/** The board in service and its process. */
async function holderOf(
  lab: Lab,
  signal: AbortSignal,
): Promise<{ holder: BoardName; pid: number; seq: number }> {
  const { holder, boards, seq } = await lab.device.status(signal);
  const pid = holder === null ? null : boards[holder].pid;
  assert.ok(holder !== null && pid !== null);
  return { holder, pid, seq };
}

async function until(
  lab: Lab,
  what: (status: SystemStatus) => boolean,
  signal: AbortSignal,
): Promise<SystemStatus> {
  for (;;) {
    const status = await lab.device.status(signal);
    if (what(status)) return status;
    await sleep(200, undefined, { signal });
  }
}

const ready = ({ failover, story }: SystemStatus): boolean => failover.ready && story === null;

const killed = ["SIGKILL", "died"] as const;

test(
  "the machine in service is killed, and then the other one freezes: each time the dormant one serves, and is replaced",
  {
    skip: reason,
  },
  async (t) => await strikeHolders(t, "qemu", [killed, ["SIGSTOP", "unhealthy"]]),
);

test(
  "the container in service is killed, and then the other one: each time the dormant one serves, and is replaced",
  {
    skip: reason || (await whyNoContainers()),
  },
  async (t) => await strikeHolders(t, "container", [killed, killed]),
);

async function strikeHolders(
  t: TestContext,
  kind: BoardKind,
  strikes: readonly (readonly [strike: NodeJS.Signals, cause: string])[],
): Promise<void> {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  await using lab = await openLab(signal, { kind, probation: "1s" });
  await install(lab, signal, kind);
  await using load = startLoad(plans, (command, args) => lab.namespaces.outside.enter(command, args));
  for (const [strike, cause] of strikes) {
    const { holder, pid, seq } = await holderOf(lab, signal);
    const records: JournalRecord[] = [];
    const story = lab.device.storyOfItself("failover", seq, (record) => records.push(record), signal);
    const struckAt = now();
    process.kill(pid, strike);
    const result = await story;
    assert.equal(result.outcome, "committed", JSON.stringify(result));
    const failure = records[0]?.data["failure"] as { cause: string; at: number } | undefined;
    assert.equal(failure?.cause, cause);
    const takeoverAt = records.findLast(({ data }) => typeof data["takeoverAt"] === "number")?.data[
      "takeoverAt"
    ];
    t.diagnostic(
      `${strike}: noticed after ${(failure.at - struckAt).toFixed(0)} ms, takeover ${Number(takeoverAt) - failure.at} ms later`,
    );
    const status = await until(lab, ready, signal);
    assert.equal(status.holder, otherBoard(holder));
    assert.equal(status.boards[holder].role, "dormant");
    assert.equal(status.stuck, null);
  }
  const from = now();
  await load.settled(from + 1000, signal);
  const last = load.records.filter(({ scheduledAt }) => scheduledAt > from);
  assert.ok(last.length > 0 && last.every(({ outcome }) => outcome === "ok"), "all is well again");
}

test("somebody deletes the host's rules: they are made again, and the running board serves on", {
  skip: reason,
}, async (t) => {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  await using lab = await openLab(signal, { probation: "1s" });
  await install(lab, signal);
  const { holder, pid } = await holderOf(lab, signal);
  const [command, args] = lab.namespaces.device.enter("nft", ["flush", "ruleset"]);
  await run(command, args);
  const status = await until(lab, (one) => one.holder !== null && one.story === null, signal);
  assert.deepEqual(
    [status.holder, status.boards[holder].pid],
    [holder, pid],
    "the same run of the same board",
  );
  await using load = startLoad(plans, (program, line) => lab.namespaces.outside.enter(program, line));
  await load.settled(now() + 1000, signal);
  assert.ok(load.records.length > 0 && load.records.every(({ outcome }) => outcome === "ok"));
});
