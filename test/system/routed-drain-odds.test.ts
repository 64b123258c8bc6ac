/** What a drain may meet: ends that do not answer, firewalls, ports that are used again, other programs' marks, limits, restarts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DrainProgress } from "../../src/service/service.ts";
import { parseFlows } from "../../src/system/conntrack.ts";
import type { DaemonService } from "../fixtures/daemon-service.ts";
import type { FlowEnd } from "../fixtures/routed/client.ts";
import { families, RoutedLab, type RoutedLabOptions } from "../fixtures/routed/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(300_000);
const options = { skip, signal };

/** A lab in which board a serves. */
async function begin(purpose: string, options: RoutedLabOptions): Promise<[RoutedLab, DaemonService]> {
  const lab = await RoutedLab.make(purpose, options);
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  return [lab, daemon];
}

async function beginMany(lab: RoutedLab, count: number, kind: string, more: object = {}): Promise<void> {
  for (let begun = 0; begun < count; begun += 1) await lab.clients.call("begin", { kind, ...more });
}

async function howTheyEnded(lab: RoutedLab): Promise<string[]> {
  const ends = await lab.clients.call<FlowEnd[]>("ends");
  return [...new Set(ends.map(({ how }) => how))];
}

/** Rules of somebody else, in a chain of their own. */
const foreign = {
  outside: async (lab: RoutedLab, hook: string, rule: string) =>
    await lab.outside("nft", [`table inet foreign { chain c { type filter hook ${hook}; ${rule}; }; }`]),
  device: async (lab: RoutedLab, hook: string, rule: string) =>
    await lab.onDevice("nft", [`table inet foreign { chain c { type filter hook ${hook}; ${rule}; }; }`]),
  board: async (lab: RoutedLab, hook: string, rule: string) =>
    await lab.inBoard("a", "nft", [`table inet foreign { chain c { type filter hook ${hook}; ${rule}; }; }`]),
};

const strays = "tcp flags & (syn | ack | rst) == syn ct state established drop";
const firewall = "ct state invalid drop";

for (const family of families) {
  test(`${family}: a board that answers no questions: its clients are asked`, options, async () => {
    const [lab, daemon] = await begin("mute-board", { families: [family], quietMs: 300 });
    await using _ = lab;
    await beginMany(lab, 10, "idle");
    await foreign.board(lab, "prerouting priority -150", strays);
    const sinceMs = Date.now();
    await daemon.handOver("b", signal);
    const result = await daemon.drain("a", { sinceMs }, signal);
    assert.equal(result.closedEarly, 10);
    assert.match(result.remarks.join(), /^board a did not answer for 10 flows/);
    assert.deepEqual(await howTheyEnded(lab), ["ECONNRESET"]);
  });

  test(
    `${family}: a client's firewall that drops what does not belong: closed early, and cut`,
    options,
    async () => {
      const [lab, daemon] = await begin("firewall", { families: [family], quietMs: 300 });
      await using _ = lab;
      await foreign.outside(lab, "input priority 0", firewall);
      await beginMany(lab, 10, "idle");
      const sinceMs = Date.now();
      await daemon.handOver("b", signal);
      const early = await daemon.drain("a", { sinceMs }, signal);
      assert.deepEqual({ ...early, ms: 0, services: 0 }, { ...none, closedEarly: 10, ms: 0, services: 0 });
      assert.deepEqual(await howTheyEnded(lab), ["ECONNRESET"]);
      await lab.untilConnections("a", 0);
      // b holds now; requests without an answer are for the deadline
      await beginMany(lab, 10, "silent");
      await lab.clients.call("speak");
      await daemon.handOver("a", signal);
      const cut = await daemon.drain("b", { sinceMs: Date.now() - 30_000 }, signal);
      assert.deepEqual({ ...cut, ms: 0, services: 0 }, { ...none, cut: 10, ms: 0, services: 0 });
      assert.deepEqual(await howTheyEnded(lab), ["ECONNRESET"]);
      await lab.untilConnections("b", 0);
    },
  );

  test(`${family}: a client that begins anew from the same port while its flow is closed reaches the new board`, {
    skip,
    signal,
  }, async () => {
    const [lab, daemon] = await begin("again", { families: [family], quietMs: 300 });
    await using _ = lab;
    for (const localPort of [5001, 5002, 5003]) await beginMany(lab, 1, "again", { localPort });
    const sinceMs = Date.now();
    await daemon.handOver("b", signal);
    const { closedEarly } = await daemon.drain("a", { sinceMs }, signal);
    assert.equal(closedEarly, 3);
    assert.deepEqual(await howTheyEnded(lab), ["ECONNRESET then b"]);
  });

  test(
    `${family}: other programs' bits of the marks stay as they are, whatever becomes of a flow`,
    options,
    async () => {
      // ours in two pieces, with bits of others above, between and below
      const markMask = 0x0ff0_0ff0;
      const theirs = 0x7001_9005;
      const [lab, daemon] = await begin("marks", {
        families: [family],
        quietMs: 300,
        drainMs: 3000,
        markMask,
      });
      await using _ = lab;
      const hook = "prerouting priority -160";
      await foreign.device(lab, hook, `ct state new ct mark set ct mark | ${theirs}`);
      const marks = async (): Promise<number[]> =>
        parseFlows(await lab.onDevice("conntrack", ["-L", "-f", family, "-p", "tcp", "-o", "id"])).map(
          ({ mark }) => mark,
        );
      await beginMany(lab, 5, "idle");
      await beginMany(lab, 5, "download", { chunks: 1e6, everyMs: 10 });
      const sinceMs = Date.now();
      await daemon.handOver("b", signal);
      const seen: number[] = [];
      const watch = setInterval(() => void marks().then((now) => seen.push(...now)), 50);
      const { closedEarly, cut } = await daemon.drain("a", { sinceMs }, signal);
      clearInterval(watch);
      assert.deepEqual({ closedEarly, cut }, { closedEarly: 5, cut: 5 });
      assert.ok(seen.length > 50);
      for (const mark of seen) assert.equal((mark & ~markMask) >>> 0, theirs);
      assert.equal(await lab.clients.call("ask"), "b");
    },
  );
}

test("the host's own clients are closed between two requests like others", options, async () => {
  const [lab, daemon] = await begin("own", { quietMs: 300, families: ["ipv4", "ipv6"] });
  await using _ = lab;
  for (const family of families) {
    await using clients = lab.clientsOnDevice(family);
    const { holder } = await daemon.inspect();
    assert.ok(holder);
    for (let count = 0; count < 5; count += 1) await clients.call("begin", { kind: "idle" });
    const sinceMs = Date.now();
    await daemon.handOver(holder === "a" ? "b" : "a", signal);
    const { closedEarly, cut } = await daemon.drain(holder, { sinceMs }, signal);
    assert.deepEqual({ closedEarly, cut }, { closedEarly: 5, cut: 0 });
    const ends = await clients.call<FlowEnd[]>("ends");
    assert.deepEqual([...new Set(ends.map(({ how }) => how))], ["ECONNRESET"]);
    await lab.untilConnections(holder, 0);
  }
});

const none = { left: 0, finished: 0, closedEarly: 0, cut: 0, remarks: [] } as const;

test("a request that is never answered waits for its deadline, and no longer", options, async () => {
  const [lab, daemon] = await begin("unanswered", { quietMs: 200, drainMs: 2500 });
  await using _ = lab;
  await beginMany(lab, 10, "silent");
  await lab.clients.call("speak");
  const sinceMs = Date.now();
  await daemon.handOver("b", signal);
  const result = await daemon.drain("a", { sinceMs }, signal);
  const ends = await lab.clients.call<FlowEnd[]>("ends");
  assert.equal(result.cut, 10);
  assert.ok(ends.every(({ how, atMs }) => how === "ECONNRESET" && atMs >= sinceMs + 2500));
});

test("an answer is not closed while it pauses for less than `quiet`, nor while its reader has no room", {
  skip,
  signal,
}, async () => {
  const [lab, daemon] = await begin("pauses", { quietMs: 1500 });
  await using _ = lab;
  await beginMany(lab, 5, "download", { chunks: 6, everyMs: 700 });
  // more than both ends' buffers hold, and a reader that stops for longer than `quiet`
  await beginMany(lab, 3, "pausing", { chunks: 3000, everyMs: 6000 });
  const sinceMs = Date.now();
  await daemon.handOver("b", signal);
  const { finished, closedEarly } = await daemon.drain("a", { sinceMs }, signal);
  assert.deepEqual({ finished, closedEarly }, { finished: 8, closedEarly: 0 });
  assert.deepEqual(await howTheyEnded(lab), ["finished"]);
});

test("a flow that shall never be closed before its deadline is not", options, async () => {
  const [lab, daemon] = await begin("never", { quietMs: 60_000, drainMs: 2000 });
  await using _ = lab;
  await beginMany(lab, 5, "idle");
  const sinceMs = Date.now();
  await daemon.handOver("b", signal);
  const { cut, closedEarly } = await daemon.drain("a", { sinceMs }, signal);
  assert.deepEqual({ cut, closedEarly }, { cut: 5, closedEarly: 0 });
});

test("an old kernel's limit on such answers makes it slower, not worse", options, async (t) => {
  const [lab, daemon] = await begin("limit", { quietMs: 300, drainMs: 60_000 });
  await using _ = lab;
  await lab.inBoard("a", "sysctl", ["-qw", "net.ipv4.tcp_challenge_ack_limit=100"]);
  await beginMany(lab, 250, "idle");
  const sinceMs = Date.now();
  await daemon.handOver("b", signal);
  const result = await daemon.drain("a", { sinceMs }, signal);
  t.diagnostic(JSON.stringify(result));
  assert.equal(result.closedEarly, 250);
  await lab.untilConnections("a", 0);
  assert.deepEqual(await howTheyEnded(lab), ["ECONNRESET"]);
});

test(
  "where the kernel has no room for new flows, those that exist are drained all the same",
  options,
  async () => {
    const [lab, daemon] = await begin("full", { quietMs: 300, drainMs: 2500 });
    await using _ = lab;
    await beginMany(lab, 10, "idle");
    await beginMany(lab, 10, "silent");
    await lab.clients.call("speak");
    const sinceMs = Date.now();
    await daemon.handOver("b", signal);
    // as nf_conntrack does with a full table; nf_conntrack_max itself is the whole machine's
    const [before, after] = ["prerouting priority -199", "output priority -199"] as const;
    await lab.onDevice("nft", [
      `table inet foreign {
       chain in { type filter hook ${before}; ct state new drop; }
       chain out { type filter hook ${after}; ct state new drop; }
     }`,
    ]);
    const { closedEarly, cut } = await daemon.drain("a", { sinceMs }, signal);
    assert.deepEqual({ closedEarly, cut }, { closedEarly: 10, cut: 10 });
    assert.deepEqual(await howTheyEnded(lab), ["ECONNRESET"]);
    await lab.untilConnections("a", 0);
  },
);

test("a board that dies in the middle of its drain: every client learns", options, async () => {
  const [lab, daemon] = await begin("dies", { quietMs: 60_000 });
  await using _ = lab;
  await beginMany(lab, 10, "idle");
  await beginMany(lab, 10, "download", { chunks: 1e6, everyMs: 10 });
  const sinceMs = Date.now();
  await daemon.handOver("b", signal);
  const { promise, resolve } = Promise.withResolvers<void>();
  const given = new AbortController();
  const drained = daemon.drain("a", { sinceMs, onProgress: () => resolve() }, given.signal);
  await promise;
  await lab.inBoard("a", "ip", ["link", "set", "eth0", "down"]);
  given.abort(new Error("given up"));
  await assert.rejects(drained, /given up/);
  const { cut } = await daemon.drain("a", { sinceMs, atOnce: true }, signal);
  assert.equal(cut, 20);
  assert.deepEqual(await howTheyEnded(lab), ["ECONNRESET"]);
});

test("a daemon that is killed between two questions: the next one frees the board", options, async () => {
  const [lab, first] = await begin("halves", { quietMs: 300 });
  await using _ = lab;
  await beginMany(lab, 20, "idle");
  const sinceMs = Date.now();
  await first.handOver("b", signal);
  const drained = first.drain("a", { sinceMs }, signal);
  // the clients know, and the board is asked again only 600 ms later
  assert.deepEqual(await howTheyEnded(lab), ["ECONNRESET"]);
  await Promise.all([first.peer.kill(), assert.rejects(drained, /ended/)]);
  await lab.untilConnections("a", 20);
  const second = lab.daemon();
  await second.raiseEpoch();
  const progress: DrainProgress[] = [];
  const { closedEarly } = await second.drain(
    "a",
    { sinceMs, onProgress: (now) => void progress.push(now) },
    signal,
  );
  assert.equal(progress[0]?.left, 20);
  assert.equal(closedEarly, 20);
  await lab.untilConnections("a", 0);
});
