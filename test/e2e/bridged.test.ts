/** Real boards with one identity on the integrator's bridge: a first installation, an upgrade and a rollback, and what the outside sees. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { demoBundle, demoImages, versions } from "../../demo/bundles.ts";
import { startLoad } from "../../demo/load/load.ts";
import { now, type Plan } from "../../demo/load/request.ts";
import type { BoardName } from "../../src/board/board.ts";
import type { BoardKind } from "../../src/board/kind.ts";
import { systemNames } from "../../src/system/names.ts";
import type { JournalRecord } from "../../src/upgrade/record.ts";
import { type BoardsLab, lingerMs, openBoardsLab } from "../fixtures/bridged/boards.ts";
import { type PingAtBoard, Pings, pingAt, pingMark } from "../fixtures/bridged/pings.ts";
import { Wire } from "../fixtures/bridged/wire.ts";
import { startCommand } from "../fixtures/command.ts";
import { whyNoContainers } from "../fixtures/container/subject.ts";
import { link, link6, printed } from "../fixtures/namespaces.ts";
import { serviceAddresses } from "../fixtures/switch-lab.ts";

const limitMs = 580_000;
const reason = process.getuid?.() === 0 ? false : "needs root: network namespaces, cards, boards";
const ignore = (): void => undefined;
/** Between the note of a takeover and its transaction, and for what is on its way. */
const slackMs = 250;
const marks: Readonly<Record<BoardName, string>> = { a: "a7", b: "b7" };

const plans: readonly Plan[] = [
  { kind: "quick", url: `http://${serviceAddresses.ipv4}/`, intervalMs: 40, timeoutMs: 10_000 },
];

/** A kernel's timer that ends the linger may be one tick early. */
const tickMs = 10;

/**
 * Whether a ping without an answer is the board's own slowness, not a frame that the switch lost: the old holder was asked before it was
 * relieved, and answered only when it might not speak any more, or not at all before it slept. Under emulation on a busy host that happens.
 */
function answeredTooLate({ askedAt, answeredAt }: PingAtBoard, takeoverAtMs: number): boolean {
  if (askedAt === null || askedAt > takeoverAtMs + slackMs) return false;
  return answeredAt === null || answeredAt > takeoverAtMs + lingerMs - tickMs;
}

/** Lets a board say, from now on and whatever becomes of it, what only its own mark tells from the other's. */
async function makeNoise(lab: BoardsLab, board: BoardName): Promise<void> {
  const { ipv4 } = serviceAddresses;
  const says = [
    `arping -q -U -c 1 -I $card ${ipv4}`,
    `arping -q -A -c 1 -I $card ${ipv4}`,
    `ping -q -c 1 -W 1 -p ${marks[board]} ${link.outsideAddress}`,
    `ping -q -c 1 -W 1 -p ${marks[board]} 198.51.100.255`,
    `ping -q -c 1 -W 1 -p ${marks[board]} ${link6.outsideAddress}`,
  ];
  const card = `card=$(ip -o address | grep ' ${ipv4}/' | cut -d ' ' -f 2)`;
  const console = startCommand(["console", board, "--socket", lab.socket], {}, (command, args) =>
    lab.namespaces.device.enter(command, args),
  );
  // The shell waits for a key.
  console.stdin.write("\n");
  await console.said("#");
  console.stdin.write(
    `${card}; (while :; do ${says.map((one) => `${one} &`).join(" ")} sleep 1; done) >/dev/null 2>&1 &\n`,
  );
  console.stdin.write("echo noise is $((1 + 1))\n");
  await console.said("noise is 2");
  console.kill("SIGTERM");
  await console.ended.catch(ignore);
}

/** Packets that the host has sent to a board's service card. */
async function sentTo(lab: BoardsLab, board: BoardName): Promise<number> {
  const card = systemNames(lab.system).card(board, "service");
  const said = await printed(lab.namespaces.device, "ip", ["-json", "-stats", "link", "show", "dev", card]);
  return (JSON.parse(said) as { stats64: { tx: { packets: number } } }[])[0]?.stats64.tx.packets ?? -1;
}

function takeoverAt(records: readonly JournalRecord[]): number {
  const at = records.findLast(({ data }) => typeof data["takeoverAt"] === "number")?.data["takeoverAt"];
  assert.ok(typeof at === "number");
  return at;
}

for (const [kind, skip] of [
  ["qemu", reason],
  ["container", reason || (await whyNoContainers())],
] as const)
  test(
    `boards with one identity: installed, upgraded and rolled back, with pings that lose nothing (${kind})`,
    {
      skip,
    },
    async (t) => await moveThereAndBack(t, kind),
  );

async function moveThereAndBack(t: TestContext, kind: BoardKind): Promise<void> {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  await using lab = await openBoardsLab(kind, signal);
  const images = await demoImages(ignore, kind);
  const upgrade = async (version: string): Promise<JournalRecord[]> => {
    const image = images.find((one) => one.version === version);
    assert.ok(image, `an image of ${version}`);
    const records: JournalRecord[] = [];
    const bundle = await demoBundle(image, lab.signing, lab.directory, signal);
    const result = await lab.device.upgrade(bundle, (record) => records.push(record), signal);
    assert.equal(result.outcome, "committed", JSON.stringify(result));
    return records;
  };
  await upgrade(versions.first.version);
  const first = (await lab.device.status(signal)).holder;
  assert.ok(first !== null);
  const second: BoardName = first === "a" ? "b" : "a";
  // A container has no terminal from which it could be told to make noise.
  const noisy = kind === "qemu";
  if (noisy) await makeNoise(lab, first);
  await using there = await Wire.on(lab.namespaces.outside, link.card, marks[first].repeat(4));
  const deadline = performance.now() + 20_000;
  const isHeard = async (): Promise<boolean> => !noisy || (await there.heard()).length > 0;
  while (!(await isHeard())) assert.ok(performance.now() < deadline, "the holder's noise gets out");
  await using load = startLoad(plans, (command, args) => lab.namespaces.outside.enter(command, args));
  await load.settled(now() + 500, signal);
  const cardWire = async (board: BoardName): Promise<Wire> =>
    await Wire.on(
      lab.namespaces.device,
      systemNames(lab.system).card(board, "service"),
      pingMark.repeat(8),
      true,
    );
  await using atFirst = await cardWire(first);
  const pings = Object.values(serviceAddresses).map((address) => new Pings(lab.namespaces.outside, address));

  const upAt = takeoverAt(await upgrade(versions.good.version));
  assert.equal((await lab.device.status(signal)).boards[first].role, "dormant");
  const queued = await sentTo(lab, first);
  await load.settled(now() + 3000, signal);
  assert.equal(await sentTo(lab, first), queued, "nothing waits for a dormant board to wake");
  await using atSecond = await cardWire(second);
  const backRecords: JournalRecord[] = [];
  const back = await lab.device.rollback((record) => backRecords.push(record), signal);
  assert.equal(back.outcome, "committed", JSON.stringify(back));
  const backAt = takeoverAt(backRecords);
  const until = now() + 2000;
  await load.settled(until, signal);

  const results = await Promise.all(
    pings.map(async (one) => ({ ...(await one.result()), address: one.address })),
  );
  const heard = { first: await atFirst.heard(), second: await atSecond.heard() };
  for (const { address, sent, missing, strange } of results) {
    t.diagnostic(`${address}: ${sent} pings, without an answer: ${missing.join(", ") || "none"}`);
    assert.ok(sent > 100, `${sent} pings`);
    assert.deepEqual(strange, []);
    for (const sequence of missing) {
      const at = {
        first: pingAt(heard.first, address, sequence),
        second: pingAt(heard.second, address, sequence),
      };
      const story = `ping ${sequence} of ${address}, takeovers at ${upAt} and ${backAt}: ${JSON.stringify(at)}`;
      t.diagnostic(story);
      assert.ok(answeredTooLate(at.first, upAt) || answeredTooLate(at.second, backAt), `lost: ${story}`);
    }
  }
  const troubled = load.records.filter(({ outcome }) => outcome !== "ok");
  t.diagnostic(
    `${load.records.length} requests, not ok: ${troubled.map(({ outcome, scheduledAt }) => `${outcome} ${(scheduledAt - upAt).toFixed(0)} ms`).join(", ") || "none"}`,
  );
  // A request that is under way is answered by a reset, also one whose connection was being made; nothing else may happen to one.
  for (const { outcome, scheduledAt, endedAt, detail } of troubled) {
    assert.ok(outcome === "reset" || detail?.startsWith("connect ECONNRESET"), detail);
    const struck = [upAt, backAt].some((at) => scheduledAt < at + slackMs && endedAt > at - slackMs);
    assert.ok(struck, `a request failed outside of takeovers: ${detail}`);
  }
  const versionsSeen = [...new Set(load.records.map(({ version }) => version))];
  assert.deepEqual(
    versionsSeen.filter((version) => version !== null),
    ["1.0.0", "2.0.0"],
  );
  const noise = await there.heard();
  const fenced = noise.filter(({ atMs }) => atMs > upAt + lingerMs + slackMs && atMs < backAt - slackMs);
  t.diagnostic(`${noise.length} frames of noise seen outside, ${fenced.length} while the board did not hold`);
  assert.deepEqual(fenced, []);
  assert.ok(!noisy || noise.some(({ atMs }) => atMs > backAt), "woken and in service, it is heard again");
  assert.equal((await lab.device.status(signal)).boards[second].role, "dormant");
}
