/** Real boards with one identity and a card each: an upgrade, and then the cable of the board in service is pulled. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { demoBundle, demoImages, versions } from "../../demo/bundles.ts";
import { startLoad } from "../../demo/load/load.ts";
import { now, type Plan } from "../../demo/load/request.ts";
import { otherBoard } from "../../src/board/board.ts";
import type { BoardKind } from "../../src/board/kind.ts";
import { systemNames } from "../../src/system/names.ts";
import type { JournalRecord } from "../../src/upgrade/record.ts";
import type { SystemStatus } from "../../src/upgrade/status.ts";
import { whyNoContainers } from "../fixtures/container/subject.ts";
import { serviceAddresses } from "../fixtures/switch-lab.ts";
import { type BoardsLab, openBoardsLab } from "../fixtures/two-cards/boards.ts";

const limitMs = 580_000;
const reason = process.getuid?.() === 0 ? false : "needs root: network namespaces, cards, boards";
const ignore = (): void => undefined;
const uplinks = { a: "up0", b: "up1" } as const;

const plans: readonly Plan[] = [
  { kind: "quick", url: `http://${serviceAddresses.ipv4}/`, intervalMs: 40, timeoutMs: 10_000 },
];

async function until(
  lab: BoardsLab,
  what: (status: SystemStatus) => boolean,
  signal: AbortSignal,
): Promise<SystemStatus> {
  for (;;) {
    const status = await lab.device.status(signal);
    if (what(status)) return status;
    await sleep(200, undefined, { signal });
  }
}

for (const [kind, skip] of [
  ["qemu", reason],
  ["container", reason || (await whyNoContainers())],
] as const)
  test(
    `boards with a card each: upgraded under requests; a pulled cable moves the service, and it stays where it is (${kind})`,
    {
      skip,
    },
    async (t) => await pullCable(t, kind),
  );

async function pullCable(t: TestContext, kind: BoardKind): Promise<void> {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  await using lab = await openBoardsLab(kind, signal);
  const { wires, device } = lab;
  const { sharedMac } = systemNames(lab.system);
  const images = await demoImages(ignore, kind);
  const upgrade = async (version: string): Promise<void> => {
    const image = images.find((one) => one.version === version);
    assert.ok(image, `an image of ${version}`);
    const bundle = await demoBundle(image, lab.signing, lab.directory, signal);
    const result = await device.upgrade(bundle, ignore, signal);
    assert.equal(result.outcome, "committed", JSON.stringify(result));
  };
  await upgrade(versions.first.version);
  await using load = startLoad(plans, (command, args) => wires.namespaces.outside.enter(command, args));
  await load.settled(now() + 500, signal);
  await upgrade(versions.good.version);
  await load.settled(now() + 500, signal);
  const troubled = load.records.filter(({ outcome }) => outcome !== "ok");
  t.diagnostic(
    `${load.records.length} requests, not ok: ${troubled.map(({ outcome }) => outcome).join() || "none"}`,
  );
  // A request that is under way at the takeover is answered by a reset; nothing else may happen to one.
  assert.ok(troubled.every(({ outcome }) => outcome === "reset") && troubled.length <= 2);

  const { holder, seq } = await until(lab, ({ failover, story }) => failover.ready && story === null, signal);
  assert.ok(holder !== null);
  assert.equal(await wires.portOf(sharedMac), uplinks[holder]);
  const records: JournalRecord[] = [];
  const story = device.storyOfItself("failover", seq, (record) => records.push(record), signal);
  const cutAt = now();
  await wires.cable(uplinks[holder], "down");
  const result = await story;
  assert.equal(result.outcome, "committed", JSON.stringify(result));
  const failure = records[0]?.data["failure"] as { cause: string; detail: string; at: number } | undefined;
  assert.deepEqual([failure?.cause, failure?.detail], ["unlinked", `${uplinks[holder]} has no carrier`]);
  const takeoverAt = records.findLast(({ data }) => typeof data["takeoverAt"] === "number")?.data[
    "takeoverAt"
  ];
  t.diagnostic(
    `cable pulled: noticed after ${((failure?.at ?? Number.NaN) - cutAt).toFixed(0)} ms, takeover ${Number(takeoverAt) - (failure?.at ?? Number.NaN)} ms later`,
  );
  const serving = await until(lab, (one) => one.story === null, signal);
  assert.equal(serving.holder, otherBoard(holder));
  assert.equal(serving.boards[holder].role, "dormant", "it has not failed: it is not booted anew");
  assert.match(serving.failover.reason ?? "", /has no link: up\d has no carrier/);
  assert.deepEqual(
    serving.troubles.map(({ what }) => what),
    [`board ${holder}: ${uplinks[holder]} has no carrier`],
  );
  const from = now();
  await load.settled(from + 500, signal);
  const last = load.records.filter(({ scheduledAt }) => scheduledAt > from);
  assert.ok(last.length > 0 && last.every(({ outcome }) => outcome === "ok"), "all is well again");

  await wires.cable(uplinks[holder], "up");
  const whole = await until(lab, ({ failover }) => failover.ready, signal);
  assert.deepEqual([whole.holder, whole.troubles], [otherBoard(holder), []], "nothing moves back");
}
