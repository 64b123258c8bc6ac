/** Real machines with a TCP service, a UDP service and a serial line: ten upgrades in a row under traffic on all three, each one takeover. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { serviceAddress } from "../../demo/addresses.ts";
import { ownBundle } from "../../demo/bundles.ts";
import { openLab } from "../../demo/lab.ts";
import { startLoad } from "../../demo/load/load.ts";
import { now, type Plan } from "../../demo/load/request.ts";
import { Peer } from "../fixtures/peer.ts";
import { askOverLine, PtyLine } from "../fixtures/pty-line.ts";
import type { DatagramPeerSettings, Question } from "../fixtures/routed/datagram-peer.ts";

const upgrades = 10;
const limitMs = 580_000;
const skip = process.getuid?.() === 0 ? false : "needs root: network namespaces, cards, boards";
const plans: readonly Plan[] = [
  { kind: "quick", url: `http://${serviceAddress}/`, intervalMs: 40, timeoutMs: 10_000 },
];
const datagramProgram = join(import.meta.dirname, "../fixtures/routed/datagram-peer.ts");

interface Datagrams {
  asked: number;
  unanswered: number;
  readonly versions: string[];
}

/** One socket asks again and again; what a stateless service answers is the board's that holds at that instant. */
async function askDatagrams(peer: Peer, signal: AbortSignal): Promise<Datagrams> {
  const seen: Datagrams = { asked: 0, unanswered: 0, versions: [] };
  const question: Question = { socket: "one", host: serviceAddress, port: 9000, text: "?", timeoutMs: 2000 };
  while (!signal.aborted) {
    seen.asked += 1;
    const [version = ""] = (await peer.call<string>("ask", question)).split(" ");
    if (version === "timeout") seen.unanswered += 1;
    else if (seen.versions.at(-1) !== version) seen.versions.push(version);
    await sleep(50);
  }
  return seen;
}

test(`${upgrades} upgrades in a row move a web server, datagrams and a serial line together`, {
  skip,
}, async (t) => {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  await using lab = await openLab(signal, { probation: "1s" });
  await using line = await PtyLine.make(lab.directory);
  await lab.configure(
    {
      probation: "1s",
      services: [
        `  - { name: telemetry, protocol: udp, address: ${serviceAddress}, port: 9000, flows: stateless, drain: 200ms }`,
        `  - { name: plc, serial: ${line.path}, baud: 115200 }`,
      ],
    },
    signal,
  );
  const upgrade = async (version: string): Promise<void> => {
    const bundle = await ownBundle(version, lab.signing, lab.directory, signal);
    const { outcome, error } = await lab.device.upgrade(bundle, () => undefined, signal);
    assert.equal(outcome, "committed", `${version}: ${error?.message ?? ""}`);
    assert.deepEqual((await lab.device.status(signal)).troubles, []);
  };
  await upgrade("1.0.0");
  await using load = startLoad(plans, (command, args) => lab.namespaces.outside.enter(command, args));
  await using peer = new Peer(lab.namespaces.outside, datagramProgram, {
    name: "outside",
    ports: [],
  } satisfies DatagramPeerSettings);
  const ending = new AbortController();
  const until = AbortSignal.any([signal, ending.signal]);
  const far = await line.far();
  const overLine = askOverLine(far, { everyMs: 50, timeoutMs: 5000, signal: until });
  const overUdp = askDatagrams(peer, until);
  // Whatever ends the test before they do is what is to be told.
  for (const asking of [overLine, overUdp]) asking.catch(() => undefined);
  await load.settled(now() + 1000, signal);

  const versions = Array.from({ length: upgrades + 1 }, (_, index) => `1.${index}.0`);
  for (const version of versions.slice(1)) await upgrade(version);

  await load.settled(now() + 1000, signal);
  ending.abort();
  const datagrams = await overUdp;
  const lines = await overLine;
  await far.close();
  const requests = load.records;
  const failed = requests.filter(({ outcome }) => outcome !== "ok");
  t.diagnostic(
    `${requests.length} requests, ${failed.length} failed; ${datagrams.asked} datagrams, ${datagrams.unanswered} unanswered; ` +
      `${lines.asked} lines, unanswered ${JSON.stringify(lines.unanswered)}`,
  );
  assert.deepEqual(failed, []);
  assert.equal(datagrams.unanswered, 0);
  assert.deepEqual(datagrams.versions, versions);
  assert.deepEqual(lines.strange, [], "no line came twice, none out of its order");
  assert.deepEqual(lines.answeredBy, versions);
  // One that the old board had heard and not yet answered to its end at the takeover stays without an answer.
  assert.ok(lines.unanswered.length <= upgrades, `unanswered: ${lines.unanswered.join(", ")}`);
});
