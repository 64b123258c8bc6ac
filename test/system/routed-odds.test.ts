/** What others do to the host while the routed service is in service: it is told, what can be mended is, and the holder stays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemNames } from "../../src/system/names.ts";
import type { DaemonService } from "../fixtures/daemon-service.ts";
import { addresses, type FamilyName, families, RoutedLab } from "../fixtures/routed/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(200_000);

interface Harm {
  readonly what: string;
  readonly done: readonly string[];
  readonly told: RegExp;
}

function nft(words: string): string[] {
  return ["nft", ...words.split(" ")];
}

/** What is mended by the daemon alone. */
function harms(family: FamilyName, system: string): Harm[] {
  const names = systemNames(system);
  const { table } = names;
  const card = names.card("a", "service");
  const suffix = family === "ipv4" ? "4" : "6";
  const version = family === "ipv4" ? "-4" : "-6";
  const prefix = family === "ipv4" ? 32 : 128;
  const address = `${addresses[family].service}/${prefix}`;
  const rules = /^somebody changed the rules of table/;
  return [
    {
      what: "the service's address is taken off the uplink",
      done: ["ip", "address", "delete", address, "dev", "up0"],
      told: /^the host does not have \S+ any more$/,
    },
    {
      what: "the route to the holder is deleted",
      done: ["ip", version, "route", "flush", "dev", card, "root", `${addresses[family].links.a}/${prefix}`],
      told: /of board a has lost its address or its route$/,
    },
    {
      what: "the holder's card loses all addresses",
      done: ["ip", version, "address", "flush", "dev", card, "scope", "global"],
      told: /of board a has lost its address or its route$/,
    },
    {
      what: "the holder's card is taken down",
      done: ["ip", "link", "set", card, "down"],
      told: /of board a has lost its address or its route$/,
    },
    {
      what: "the epoch is taken out of the register",
      done: nft(`flush set inet ${table} epoch`),
      told: /took the epoch out/,
    },
    {
      what: "the holder is taken out of the register",
      done: nft(`flush set inet ${table} holder`),
      told: /took the board in service out/,
    },
    {
      what: "where new work goes is taken away",
      done: nft(`flush map inet ${table} board${suffix}`),
      told: rules,
    },
    {
      what: "a constant map is flushed",
      done: nft(`flush map inet ${table} steers${suffix}`),
      told: rules,
    },
    { what: "a chain is flushed", done: nft(`flush chain inet ${table} number${suffix}`), told: rules },
    { what: "all rules of the table are flushed", done: nft(`flush table inet ${table}`), told: rules },
    {
      what: "a rule is put into the table that drops everything",
      done: nft(`insert rule inet ${table} forward drop`),
      told: rules,
    },
  ];
}

async function whats(daemon: DaemonService): Promise<readonly string[]> {
  return (await daemon.troubles()).map(({ what }) => what);
}

for (const family of families) {
  test(`${family}: what somebody takes away from the host or the rules is told and mended, and the next takeover is one`, {
    skip,
    signal,
  }, async (t) => {
    await using lab = await RoutedLab.make("harm", { families: [family] });
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    assert.deepEqual(await whats(daemon), []);
    for (const { what, done, told } of harms(family, lab.settings.system)) {
      await t.test(what, async () => {
        const [command = "", ...args] = done;
        await lab.onDevice(command, args);
        assert.equal((await daemon.inspect()).holder, "a");
        const troubles = await daemon.troubles();
        assert.ok(
          troubles.some((trouble) => trouble.mendable && told.test(trouble.what)),
          JSON.stringify(troubles),
        );
        await daemon.mend(signal);
        assert.deepEqual(await whats(daemon), []);
        assert.equal(await lab.clients.call("ask"), "a");
        await daemon.prepare("b", signal);
        await daemon.handOver("b", signal);
        assert.equal(await lab.clients.call("ask"), "b");
        await daemon.prepare("a", signal);
        await daemon.handOver("a", signal);
      });
    }
  });
}

test("passing on that is switched off is switched on again, and the host has its own setting back in the end", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("fwd");
  const before = await lab.hostState();
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await lab.onDevice("sysctl", ["-w", "net.ipv4.conf.up0.forwarding=0"]);
  assert.match((await whats(daemon)).join(), /^ipv4 packets from up0 are not passed on/);
  await daemon.mend(signal);
  assert.deepEqual(await whats(daemon), []);
  assert.equal(await lab.clients.call("ask"), "a");
  await daemon.tearDown(signal);
  assert.deepEqual(await lab.hostState(), before);
});

test("an epoch that somebody took away is no end: a takeover, and a daemon that begins, go on without it", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("epoch");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const { table } = systemNames(lab.settings.system);
  await lab.onDevice("nft", ["flush", "set", "inet", table, "epoch"]);
  await daemon.prepare("b", signal);
  await daemon.handOver("b", signal);
  assert.equal(await lab.clients.call("ask"), "b");
  await lab.onDevice("nft", ["flush", "set", "inet", table, "epoch"]);
  await daemon.peer.kill();
  const next = lab.daemon();
  await next.raiseEpoch();
  await next.setUp(signal);
  assert.equal((await next.inspect()).holder, "b");
  assert.deepEqual(await whats(next), []);
});

test("a takeover is prepared from what was just read, and fails whole if another daemon has raised the epoch since", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("recent");
  const [late, other] = [lab.daemon(), lab.daemon()];
  await late.setUp(signal);
  await late.handOver("a", signal);
  // Both are at work already: what follows takes a few milliseconds.
  await other.inspect();
  const { epoch } = await late.inspect();
  assert.ok((await other.raiseEpoch()) > epoch);
  await late.prepare("b", signal);
  await assert.rejects(late.handOver("b", signal), { code: "stale-epoch" });
  assert.equal((await late.inspect()).holder, "a");
  await late.prepare("b", signal);
  await late.handOver("b", signal);
  assert.equal(await lab.clients.call("ask"), "b");
});

test("an uplink that is down, renamed or gone is told; when it is back by its name the service is", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("uplink");
  let daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const link = async (...words: string[]): Promise<string> =>
    await lab.onDevice("ip", ["link", "set", ...words]);
  await link("up0", "down");
  assert.deepEqual(await whats(daemon), ["the uplink up0 is down, or has no link"]);
  await link("up0", "name", "up9");
  assert.deepEqual(await whats(daemon), ["the uplink up0 is gone"]);
  await daemon.mend(signal);
  assert.equal((await daemon.inspect()).holder, "a");
  // A daemon that begins without it keeps what serves, and its rules.
  await daemon.peer.kill();
  daemon = lab.daemon();
  await daemon.raiseEpoch();
  await daemon.setUp(signal);
  assert.equal((await daemon.inspect()).holder, "a");
  assert.deepEqual(await whats(daemon), ["the uplink up0 is gone"]);
  await link("up9", "name", "up0");
  await lab.onDevice("ip", ["address", "flush", "dev", "up0"]);
  await link("up0", "up");
  await lab.onDevice("ip", ["address", "add", "198.51.100.2/24", "dev", "up0"]);
  assert.deepEqual(await whats(daemon), ["the host does not have 198.51.100.10 any more"]);
  await daemon.mend(signal);
  assert.deepEqual(await whats(daemon), []);
  assert.equal(await lab.clients.call("ask"), "a");
});

test("the holder's card vanishes: it is told, and the other board can take over", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("tap");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const card = systemNames(lab.settings.system).card("a", "service");
  await lab.onDevice("ip", ["link", "delete", card]);
  assert.deepEqual(await whats(daemon), [`${card} of board a is gone`]);
  await daemon.mend(signal);
  await daemon.prepare("b", signal);
  await daemon.handOver("b", signal);
  assert.equal(await lab.clients.call("ask"), "b");
  assert.deepEqual(await whats(daemon), []);
});
