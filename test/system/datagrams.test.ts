/** The programs that send and answer numbered datagrams, over the loopback card of a namespace: each datagram has one fate, and it is told. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Namespace, printed, separateNamespaces } from "../fixtures/namespaces.ts";
import { Peer } from "../fixtures/peer.ts";
import type { DatagramResult, DatagramSettings } from "../fixtures/traffic/datagrams.ts";
import type { EchoSettings, HeardText } from "../fixtures/traffic/echo.ts";
import type { Course } from "../fixtures/traffic/holder-walk.ts";
import type { MirrorSettings } from "../fixtures/traffic/mirror.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const options = { skip, signal: AbortSignal.timeout(100_000) };
const port = 7000;
const course: Course = { holder: "a", takeovers: [], windowHalfMs: 10, underwayMs: 5 };
const nothing: HeardText = { bits: "", doubled: 0, foreign: 0, overflowed: 0 };
const order: DatagramSettings = { host: "127.0.0.1", port, everyUs: 250, capacity: 500_000 };
const program = (name: string): string => join(import.meta.dirname, "../fixtures/traffic", name);

async function alone(context: TestContext): Promise<Namespace> {
  const namespaces = await separateNamespaces("datagrams");
  context.after(async () => await namespaces.remove());
  return namespaces.outside;
}

async function startEcho(namespace: Namespace): Promise<Peer> {
  const settings: EchoSettings = { board: "a", ports: [port], capacity: order.capacity };
  const echo = new Peer(namespace, program("echo.ts"), settings);
  await echo.call("count");
  return echo;
}

async function startSender(namespace: Namespace, changes: Partial<DatagramSettings> = {}): Promise<Peer> {
  const sender = new Peer(namespace, program("datagrams.ts"), { ...order, ...changes });
  await sender.call("warmUp", { timeoutMs: 20_000 });
  await sender.call("start");
  return sender;
}

async function verdictOf(sender: Peer, a: HeardText): Promise<DatagramResult> {
  return await sender.call("judge", { course, heard: { a, b: nothing } });
}

/** Asks until so many are told. */
async function until(what: string, least: number, ask: () => Promise<number>): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (let told = await ask(); told < least; told = await ask()) {
    if (performance.now() > deadline) throw new Error(`${what}: ${told}, not ${least}`);
    await sleep(10);
  }
}

/** Bytes that wait for the echo. proc_net(5), `udp6`: both families are at one socket. */
async function waiting(namespace: Namespace): Promise<number> {
  const text = await printed(namespace, "cat", ["/proc/net/udp6"]);
  const own = text.split("\n").find((line) => line.includes(`:${port.toString(16).toUpperCase()} `));
  return Number.parseInt(/:([0-9A-F]{8}) \d\d:/.exec(own ?? "")?.[1] ?? "", 16);
}

/** The process id of a program in a namespace, by the beginning of its name. */
async function pidOf(namespace: Namespace, name: string): Promise<number> {
  const pids = await printed(namespace, "ip", ["netns", "pids", namespace.name]);
  for (const pid of pids.split("\n").filter(Boolean))
    if ((await readFile(`/proc/${pid}/comm`, "utf8")).startsWith(name)) return Number(pid);
  throw new Error(`no ${name} in ${namespace.name}`);
}

for (const host of ["127.0.0.1", "::1"])
  test(`${host}: so many as were sent are heard and answered, each once`, options, async (t) => {
    const namespace = await alone(t);
    await using echo = await startEcho(namespace);
    const changes = { host, localAddress: host, everyUs: 100, urgent: true };
    await using sender = await startSender(namespace, changes);
    await until("heard", 5000, async () => await echo.call("count"));
    await sender.call("stop");
    const told = await verdictOf(sender, await echo.call("heard"));
    const { sent, lost, doubled, reordered, foreign, failed, overflowed, heardBy, answeredBy } = told;
    assert.ok(sent >= 5000);
    assert.deepEqual(
      { lost, doubled, reordered, foreign, failed, overflowed, heardBy, answeredBy },
      {
        lost: 0,
        doubled: 0,
        reordered: 0,
        foreign: 0,
        failed: {},
        overflowed: 0,
        heardBy: { a: sent, b: 0 },
        answeredBy: { a: sent, b: 0 },
      },
    );
  });

test("what an echo that stood still did not answer in time is lost on its way back", options, async (t) => {
  const namespace = await alone(t);
  await using echo = await startEcho(namespace);
  await using sender = await startSender(namespace);
  await until("heard", 500, async () => await echo.call("count"));
  const pid = await pidOf(namespace, "datagram-echo");
  process.kill(pid, "SIGSTOP");
  await until("waiting", 1, async () => await waiting(namespace));
  await sender.call("stop");
  process.kill(pid, "SIGCONT");
  await until("taken", 0, async () => -(await waiting(namespace)));
  const told = await verdictOf(sender, await echo.call("heard"));
  const { sent, lost, lostBack, answeredBy, heardBy, failed } = told;
  assert.ok(lost > 0 && lost < sent, `${lost} of ${sent} lost`);
  assert.deepEqual(
    { lostBack, answered: answeredBy.a, heard: heardBy.a, failed },
    { lostBack: lost, answered: sent - lost, heard: sent, failed: {} },
  );
});

test(
  "what an echo that was killed did not hear is lost, and the refusals are told by name",
  options,
  async (t) => {
    const namespace = await alone(t);
    const echo = await startEcho(namespace);
    await using sender = await startSender(namespace);
    await until("heard", 500, async () => await echo.call("count"));
    await echo.kill();
    await until("refused", 100, async () => {
      const text = await printed(namespace, "cat", ["/proc/net/snmp"]);
      return Number(/^Udp: \d+ (\d+)/m.exec(text)?.[1]);
    });
    await sender.call("stop");
    const { sent, lost, answeredBy, failed } = await verdictOf(sender, nothing);
    assert.ok(lost >= 100 && answeredBy.a >= 500);
    assert.equal(lost + answeredBy.a, sent);
    assert.deepEqual(Object.keys(failed), ["ECONNREFUSED"]);
  },
);

test("sessions: each socket sends its share, and the next one goes on", options, async (t) => {
  const namespace = await alone(t);
  const settings: MirrorSettings = { port, times: 1 };
  await using mirror = new Peer(namespace, program("mirror.ts"), settings);
  const byPort = async (): Promise<number[]> => await mirror.call("byPort");
  await byPort();
  await using sender = await startSender(namespace, { perSocket: 50 });
  await until("sessions", 40, async () => (await byPort()).length);
  await sender.call("stop");
  const { lost, failed } = await verdictOf(sender, nothing);
  assert.deepEqual({ lost, failed }, { lost: 0, failed: {} });
  const shares = await byPort();
  assert.deepEqual(new Set(shares.slice(0, -1)), new Set([50]));
  assert.ok((shares.at(-1) ?? 0) <= 50);
});

test("answers that come twice are told as doubled, and what is no answer as foreign", options, async (t) => {
  const namespace = await alone(t);
  const settings: MirrorSettings = { port, times: 2, besides: "a datagram that is longer than ours" };
  await using mirror = new Peer(namespace, program("mirror.ts"), settings);
  await mirror.call("byPort");
  await using sender = await startSender(namespace);
  const heard = async (): Promise<number> =>
    (await mirror.call<number[]>("byPort")).reduce((sum, count) => sum + count, 0);
  await until("heard", 1000, heard);
  await sender.call("stop");
  const { sent, lost, doubled, answeredBy, foreign } = await verdictOf(sender, nothing);
  assert.deepEqual({ lost, doubled, answered: answeredBy.a }, { lost: 0, doubled: sent, answered: sent });
  // Of the warm-up some may come when counting has begun.
  assert.ok(foreign >= sent, `${foreign} foreign`);
});

test(
  "that nobody answers is an error, and so is a run that was longer than its numbers",
  options,
  async (t) => {
    const namespace = await alone(t);
    await using deaf = new Peer(namespace, program("datagrams.ts"), order);
    await assert.rejects(deaf.call("warmUp", { timeoutMs: 100 }), /0 answers from 127\.0\.0\.1 port 7000/);
    await using echo = await startEcho(namespace);
    await using sender = await startSender(namespace, { capacity: 50 });
    await until("heard", 50, async () => await echo.call("count"));
    await assert.rejects(sender.call("stop"), /more than 50 numbers were due/);
  },
);
