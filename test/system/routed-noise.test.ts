/** A standby board of the routed service that says all the time what it must not: nothing of it gets out, and nothing of the service reaches it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemNames } from "../../src/system/names.ts";
import { link, macOf } from "../fixtures/namespaces.ts";
import { addresses, families, RoutedLab } from "../fixtures/routed/lab.ts";
import { insideCard } from "../fixtures/stand-in.ts";
import { type Claim, Noise, Witness } from "../fixtures/traffic/noise.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(100_000);
const mgmtCard = "eth1";
const webPort = 80;
const everyMs = 50;
const rounds = 10;

function claimOf(mac: string, of: "service" | "outside" | "stranger" | "a" | "b"): Claim {
  const pick = (family: "ipv4" | "ipv6"): string =>
    of === "a" || of === "b" ? addresses[family].links[of] : addresses[family][of];
  return { mac, ipv4: pick("ipv4"), ipv6: pick("ipv6") };
}

test("whatever a standby says, in whosever name, nobody hears it; and of what is said to the service it hears nothing", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("noise", { families });
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  const names = systemNames(lab.settings.system);
  const { device, outside } = lab.namespaces;
  const board = lab.boards.b.namespace;
  const before = await lab.hostState();

  const common = {
    port: webPort,
    stranger: claimOf("02:00:00:00:00:77", "stranger"),
    everyMs,
  } as const;
  const noises: Noise[] = [];
  await using stack = new AsyncDisposableStack();
  for (const [card, role] of [
    [insideCard, "service"],
    [mgmtCard, "mgmt"],
  ] as const) {
    // The host's end is where everything goes that is not for the link itself.
    const neighbour = claimOf(await macOf(device, names.card("b", role)), "outside");
    for (const who of ["service", "b", "a"] as const) {
      const service = claimOf(names.mac("b", role), who);
      noises.push(new Noise(board, { ...common, what: "noise", by: "b", card, service, neighbour }));
    }
  }
  for (const noise of noises) stack.use(noise);
  const work = stack.use(
    new Noise(outside, {
      ...common,
      what: "work",
      by: "o",
      card: link.card,
      service: claimOf(await macOf(device, link.card), "service"),
      neighbour: claimOf(await macOf(outside, link.card), "outside"),
    }),
  );
  const witnesses = {
    outside: stack.use(await Witness.on(outside, link.card)),
    holder: stack.use(await Witness.on(lab.boards.a.namespace, insideCard)),
    standby: stack.use(await Witness.on(board, insideCard)),
    standbyMgmt: stack.use(await Witness.on(board, mgmtCard)),
  };
  await Promise.all([...noises, work].map(async (noise) => await noise.untilRounds(rounds)));
  assert.equal(await lab.clients.call("ask"), "a", "the holder serves all the while");

  const { o: _, ...outThere } = await witnesses.outside.seen();
  assert.deepEqual(outThere, {}, "outside are only answers to what was said there");
  const { o: heard = {}, ...others } = await witnesses.holder.seen();
  assert.deepEqual(others, {}, "nothing of the other board's reaches the holder");
  assert.ok((heard["tcp-syn"] ?? 0) >= rounds, "what is said to the service reaches the holder");
  assert.deepEqual(await witnesses.standby.seen(), {});
  assert.deepEqual(await witnesses.standbyMgmt.seen(), {});
  assert.deepEqual(await lab.hostState(), before, "the host believed nothing of it");
});
