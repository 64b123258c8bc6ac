/** Takeovers of the bridged service in network namespaces, behind a learning switch: what every kind of traffic notices of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bridgedLab } from "../fixtures/bridged/lab.ts";
import { printed } from "../fixtures/namespaces.ts";
import { serviceAddresses, serviceMac } from "../fixtures/switch-lab.ts";
import { FrameTraffic } from "../fixtures/traffic/frames.ts";
import type { Course } from "../fixtures/traffic/holder-walk.ts";
import type { Verdict } from "../fixtures/traffic/judge.ts";
import type { TimedTakeover } from "../fixtures/traffic/takeovers.ts";
import { DatagramTraffic } from "../fixtures/traffic/traffic.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(150_000);
const port = 7000;
const families = ["ipv4", "ipv6"] as const;

function course(takeovers: readonly TimedTakeover[]): Course {
  return { holder: takeovers[0]?.to === "a" ? "b" : "a", takeovers, windowHalfMs: 1, underwayMs: 100 };
}

/** The programs are Node's and Python's, on a busy machine: when something was heard is not asked here, but whether, and by whom. */
function allWell(verdict: Verdict): void {
  const { lost, lostThere, lostBack, doubled, heardByBoth, heardByWrong, foreign, lostPerTakeover } = verdict;
  assert.deepEqual(
    { lost, lostThere, lostBack, doubled, heardByBoth, heardByWrong, foreign, worst: lostPerTakeover.worst },
    { lost: 0, lostThere: 0, lostBack: 0, doubled: 0, heardByBoth: 0, heardByWrong: 0, foreign: 0, worst: 0 },
  );
}

test("takeovers under datagrams of both families, frames that are no IP, and pings: nothing is lost, nothing comes twice", {
  skip,
  signal,
}, async (t) => {
  await using lab = await bridgedLab("moves", { lingerMs: 250 });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const { outside } = lab.namespaces;
  await using four = await DatagramTraffic.make(outside, lab.boards, {
    host: serviceAddresses.ipv4,
    port,
    everyUs: 1000,
    capacity: 1_000_000,
    urgent: true,
  });
  await using six = await DatagramTraffic.make(outside, lab.boards, {
    host: serviceAddresses.ipv6,
    port: port + 1,
    everyUs: 2000,
    capacity: 1_000_000,
    urgent: true,
  });
  await using frames = await FrameTraffic.make(outside, lab.boards, { to: serviceMac, everyUs: 5000 });
  for (const traffic of [four, six, frames]) await traffic.start();
  // By their count, not by a time: at its end ping(8) calls lost what is still on its way, unless it waits for so many answers.
  const pings = Promise.all(
    families.map((family) =>
      printed(outside, "ping", ["-q", "-i", "0.02", "-c", "300", "-W", "5", serviceAddresses[family]]),
    ),
  );
  const done = await daemon.takeovers({ count: 15, everyMs: 400, afterwards: "fence" }, signal);
  const verdicts = {
    ipv4: await four.stop(course(done)),
    ipv6: await six.stop(course(done)),
    frames: await frames.stop(course(done)),
  };
  for (const [kind, verdict] of Object.entries(verdicts)) {
    const { sent, aroundTakeovers, elsewhere } = verdict;
    const gaps = `longest gap at takeovers ${aroundTakeovers.longestMs.toFixed(1)} ms, elsewhere ${elsewhere.longestMs.toFixed(1)} ms`;
    t.diagnostic(`${kind}: ${sent} sent, lost ${verdict.lost}, doubled ${verdict.doubled}, ${gaps}`);
  }
  t.diagnostic(`takeovers: ${done.map(({ ms }) => ms.toFixed(2)).join(" ")} ms`);
  for (const verdict of Object.values(verdicts)) allWell(verdict);
  for (const said of await pings) {
    assert.match(said, / 0% packet loss/);
    assert.doesNotMatch(said, /duplicates|errors/);
  }
  assert.equal(await lab.portOf(serviceMac), "up0");
});

test("a daemon that dies in the middle of a takeover leaves one speaker, and the next one finds it", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("dies", { lingerMs: 1000 });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await daemon.handOver("b", signal);
  await daemon.peer.kill();
  const speakers = async (): Promise<string> =>
    await printed(lab.namespaces.device, "nft", ["list", "set", "bridge", lab.names.table, "tx"]);
  const cardA = lab.names.card("a", "service");
  const deadline = performance.now() + 5000;
  while ((await speakers()).includes(cardA)) assert.ok(performance.now() < deadline, "the old board lingers");
  assert.match(await speakers(), new RegExp(lab.names.card("b", "service")));
  const next = lab.daemon();
  await next.setUp(signal);
  const { holder, draining } = await next.inspect();
  assert.deepEqual({ holder, draining }, { holder: "b", draining: "a" });
  await next.fence("a");
  await printed(lab.namespaces.outside, "ping", ["-c", "1", "-W", "5", serviceAddresses.ipv4]);
});

test("a fence ends the linger at once", { skip, signal }, async () => {
  await using lab = await bridgedLab("shut", { lingerMs: 1000 });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await daemon.handOver("b", signal);
  await daemon.fence("a");
  const speakers = await printed(lab.namespaces.device, "nft", [
    "list",
    "set",
    "bridge",
    lab.names.table,
    "tx",
  ]);
  assert.doesNotMatch(speakers, /timeout \d/);
  assert.doesNotMatch(speakers, new RegExp(lab.names.card("a", "service")));
});
