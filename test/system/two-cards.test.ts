/** Takeovers of a service on two cards in network namespaces, through a learning switch: what traffic notices of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { untilAnswers } from "../fixtures/device-state.ts";
import { printed } from "../fixtures/namespaces.ts";
import { type SwitchLab, serviceAddresses, serviceMac } from "../fixtures/switch-lab.ts";
import { FrameTraffic } from "../fixtures/traffic/frames.ts";
import type { Course } from "../fixtures/traffic/holder-walk.ts";
import type { TimedTakeover } from "../fixtures/traffic/takeovers.ts";
import { DatagramTraffic } from "../fixtures/traffic/traffic.ts";
import { twoCardsLab } from "../fixtures/two-cards/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(150_000);
const port = 7000;

function course(takeovers: readonly TimedTakeover[]): Course {
  return { holder: takeovers[0]?.to === "a" ? "b" : "a", takeovers, windowHalfMs: 20, underwayMs: 1000 };
}

async function untilPort(lab: SwitchLab, port: string): Promise<void> {
  for (const deadline = performance.now() + 10_000; (await lab.portOf(serviceMac)) !== port; )
    assert.ok(performance.now() < deadline, `the switch finds the service behind ${port}`);
}

test("takeovers under datagrams of both families, frames that are no IP, and pings: at the median nothing is lost, nothing comes twice", {
  skip,
  signal,
}, async (t) => {
  await using lab = await twoCardsLab("moves", { lingerMs: 100 });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const { outside } = lab.namespaces;
  const order = { port, capacity: 1_000_000, urgent: true };
  await using four = await DatagramTraffic.make(outside, lab.boards, {
    ...order,
    host: serviceAddresses.ipv4,
    everyUs: 1000,
  });
  await using six = await DatagramTraffic.make(outside, lab.boards, {
    ...order,
    host: serviceAddresses.ipv6,
    port: port + 1,
    everyUs: 2000,
  });
  await using frames = await FrameTraffic.make(outside, lab.boards, { to: serviceMac, everyUs: 5000 });
  for (const traffic of [four, six, frames]) await traffic.start();
  const done = await daemon.takeovers({ count: 15, everyMs: 500, afterwards: "fence" }, signal);
  const verdicts = {
    ipv4: await four.stop(course(done)),
    ipv6: await six.stop(course(done)),
    frames: await frames.stop(course(done)),
  };
  for (const [kind, verdict] of Object.entries(verdicts)) {
    const { sent, lost, doubled, lostPerTakeover, aroundTakeovers, elsewhere } = verdict;
    const gaps = `longest gap at takeovers ${aroundTakeovers.longestMs.toFixed(1)} ms, elsewhere ${elsewhere.longestMs.toFixed(1)} ms`;
    t.diagnostic(
      `${kind}: ${sent} sent, lost ${lost}, worst ${lostPerTakeover.worst}, doubled ${doubled}, ${gaps}`,
    );
  }
  for (const [kind, verdict] of Object.entries(verdicts)) {
    const { lostPerTakeover, lostBeforeTakeovers, doubled, heardByBoth, heardByWrong, foreign } = verdict;
    assert.deepEqual(
      { lostBeforeTakeovers, doubled, heardByBoth, heardByWrong, foreign, median: lostPerTakeover.p50 },
      { lostBeforeTakeovers: 0, doubled: 0, heardByBoth: 0, heardByWrong: 0, foreign: 0, median: 0 },
      kind,
    );
    assert.ok(lostPerTakeover.worst <= 5, `${kind}: ${lostPerTakeover.worst} lost at one takeover`);
  }
  await untilPort(lab, done.at(-1)?.to === "a" ? "up0" : "up1");
});

test("never two cards open: the switch learns all the same, and the old board hears nothing more", {
  skip,
  signal,
}, async (t) => {
  await using lab = await twoCardsLab("strict", { lingerMs: 0 });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await using traffic = await DatagramTraffic.make(lab.namespaces.outside, lab.boards, {
    host: serviceAddresses.ipv4,
    port,
    everyUs: 1000,
    capacity: 1_000_000,
    urgent: true,
  });
  await traffic.start();
  const done = await daemon.takeovers({ count: 10, everyMs: 500, afterwards: "fence" }, signal);
  const verdict = await traffic.stop({ ...course(done), underwayMs: 100 });
  const { lostPerTakeover, doubled, heardByBoth, heardByWrong } = verdict;
  t.diagnostic(`lost per takeover: median ${lostPerTakeover.p50}, worst ${lostPerTakeover.worst}`);
  assert.deepEqual({ doubled, heardByBoth, heardByWrong }, { doubled: 0, heardByBoth: 0, heardByWrong: 0 });
  await untilAnswers(lab);
});

test("a daemon that starts announces the holder that it finds, and a holder whose wire is whole again", {
  skip,
  signal,
}, async () => {
  await using lab = await twoCardsLab("found");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("b", signal);
  await untilPort(lab, "up1");
  await daemon.peer.kill();
  const forget = async (): Promise<void> => {
    await printed(lab.switch, "bridge", ["fdb", "delete", serviceMac, "dev", "up1", "master"]);
  };
  await forget();
  const next = lab.daemon();
  await next.setUp(signal);
  await untilPort(lab, "up1");

  await lab.cable("up1", "down");
  await untilTold(lab, next, "up1 has no carrier");
  assert.equal(await lab.portOf(serviceMac), undefined);
  await lab.cable("up1", "up");
  await untilTold(lab, next, null);
  await untilPort(lab, "up1");
});

async function untilTold(
  _: SwitchLab,
  daemon: ReturnType<SwitchLab["daemon"]>,
  obstacle: string | null,
): Promise<void> {
  for (const deadline = performance.now() + 10_000; (await daemon.wireObstacle("b")) !== obstacle; )
    assert.ok(performance.now() < deadline, `${obstacle ?? "nothing"} is told`);
}

test("a cut wire is told, and the service is back by the other card as soon as it is handed over", {
  skip,
  signal,
}, async (t) => {
  await using lab = await twoCardsLab("cut");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await using traffic = await DatagramTraffic.make(lab.namespaces.outside, lab.boards, {
    host: serviceAddresses.ipv4,
    port,
    everyUs: 1000,
    capacity: 1_000_000,
    urgent: true,
  });
  await traffic.start();
  const told = Promise.withResolvers<string | null>();
  daemon.watchWire("a", told.resolve);
  await lab.cable("up0", "down");
  const cutMs = performance.now();
  assert.equal(await told.promise, "up0 has no carrier");
  await daemon.prepare("b", signal, { partly: true });
  await daemon.handOver("b", signal);
  t.diagnostic(`from the cut to the hand-over ${(performance.now() - cutMs).toFixed(0)} ms`);
  const heard = await traffic.heardBy("b");
  for (const deadline = performance.now() + 10_000; (await traffic.heardBy("b")) < heard + 200; )
    assert.ok(performance.now() < deadline, "board b hears the service's datagrams");
  const { longestGapMs } = await traffic.stop({
    holder: "a",
    takeovers: [],
    windowHalfMs: 20,
    underwayMs: 50,
  });
  t.diagnostic(`longest gap ${longestGapMs.toFixed(0)} ms`);
  assert.equal((await daemon.inspect()).holder, "b");
});
