/** VLANs of a bridge that filters by them: boards that see no tags, and boards that see theirs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../src/system/process.ts";
import { bridge, bridgedLab } from "../fixtures/bridged/lab.ts";
import { etherTypes, type Frame, Wire } from "../fixtures/bridged/wire.ts";
import { link, printed } from "../fixtures/namespaces.ts";
import { insideCard } from "../fixtures/stand-in.ts";
import { type SwitchLab, serviceMac } from "../fixtures/switch-lab.ts";

const signal = AbortSignal.timeout(100_000);

/** Asked in a namespace that ends with the question. */
async function obstacle(option: string, question: string): Promise<string | false> {
  if (process.geteuid?.() !== 0) return "network namespaces need root";
  const { exitCode } = await run("unshare", ["-n", "sh", "-c", question], { allowedExitCodes: [1, 2] });
  return exitCode === 0 ? false : `this kernel has no ${option}`;
}

const noFilter = await obstacle(
  "CONFIG_BRIDGE_VLAN_FILTERING",
  "ip link add br0 type bridge vlan_filtering 1",
);
const noCards = await obstacle(
  "CONFIG_VLAN_8021Q",
  "ip link add p0 type veth && ip link add link p0 name p0.10 type vlan id 10",
);

/** A bridge that filters, whose uplink carries VLANs 10, 20 and 30 with tags. */
async function filteringLab(
  purpose: string,
  vlans: { untagged: number | null; tagged: number[] },
): Promise<SwitchLab> {
  const lab = await bridgedLab(purpose, { vlans });
  const { device } = lab.namespaces;
  await printed(device, "ip", ["link", "set", bridge, "type", "bridge", "vlan_filtering", "1"]);
  for (const vlan of ["10", "20", "30"])
    await printed(device, "bridge", ["vlan", "add", "vid", vlan, "dev", "up0"]);
  return lab;
}

async function vlansOf(lab: SwitchLab, card: string): Promise<string> {
  const text = await printed(lab.namespaces.device, "bridge", [
    "-compressvlans",
    "vlan",
    "show",
    "dev",
    card,
  ]);
  return text.replaceAll(/\s+/g, " ").trim();
}

function frame(payload: string, to: string, from: string, vlan: number | null): Frame {
  return { to, from, etherType: etherTypes.experimental, payload, vlan };
}

async function macOutside(lab: SwitchLab): Promise<string> {
  const text = await printed(lab.namespaces.outside, "ip", ["-json", "link", "show", "dev", link.card]);
  return (JSON.parse(text) as { address: string }[])[0]?.address ?? "";
}

for (const { name, vlans, inside, others } of [
  {
    name: "a port of one VLAN: the boards see no tags",
    vlans: { untagged: 10, tagged: [] },
    inside: null,
    others: [20, 30],
  },
  {
    name: "a port of two VLANs: the boards see their tags",
    vlans: { untagged: null, tagged: [10, 20] },
    inside: 10,
    others: [30],
  },
] as const) {
  test(name, { skip: noFilter, signal }, async () => {
    await using lab = await filteringLab("vlan", { ...vlans, tagged: [...vlans.tagged] });
    const uplinkBefore = await vlansOf(lab, "up0");
    const daemon = lab.daemon();
    await daemon.setUp(signal);
    await daemon.handOver("a", signal);
    const outside = await macOutside(lab);
    await using there = await Wire.on(lab.namespaces.outside, link.card);
    await using boards = {
      a: await Wire.on(lab.boards.a, insideCard),
      b: await Wire.on(lab.boards.b, insideCard),
      [Symbol.asyncDispose]: async () => {
        await Promise.all([boards.a[Symbol.asyncDispose](), boards.b[Symbol.asyncDispose]()]);
      },
    };
    for (const [holder, standby] of [
      ["a", "b"],
      ["b", "a"],
    ] as const) {
      await daemon.handOver(holder, signal);
      await daemon.fence(standby);
      for (const vlan of others) await there.say(frame("0bad", serviceMac, outside, vlan));
      await there.say(frame("0b0d", serviceMac, outside, 10));
      const heard: Frame[] = [];
      await boards[holder].until((one) => {
        heard.push(one);
        return one.payload.startsWith("0b0d") && one.vlan === inside;
      });
      assert.ok(!heard.some(({ payload }) => payload.startsWith("0bad")), "of its own VLANs alone");
      await boards[standby].say(frame("0bad", outside, serviceMac, inside));
      await boards[holder].say(frame("0c0d", outside, serviceMac, inside));
      const seen: Frame[] = [];
      await there.until((one) => {
        seen.push(one);
        return one.payload.startsWith("0c0d") && one.vlan === 10;
      });
      assert.ok(!seen.some(({ payload }) => payload.startsWith("0bad")), "nothing of the standby");
      assert.deepEqual(
        (await boards[standby].heard()).filter(({ etherType }) => etherType === etherTypes.experimental),
        [],
      );
    }
    assert.equal(await vlansOf(lab, "up0"), uplinkBefore, "no other port is changed");
    const own = await vlansOf(lab, lab.names.card("a", "service"));
    assert.match(own, vlans.untagged === null ? / 10 20$/ : / 10 PVID Egress Untagged$/);
    assert.doesNotMatch(own, /\b1\b/, "nor is the boards' port of the bridge's default VLAN");
    await daemon.tearDown(signal);
  });
}

test("a bridge on a VLAN card works as any other", { skip: noCards, signal }, async () => {
  await using lab = await bridgedLab("card", { uplink: "br10" });
  const on = async (...words: string[]): Promise<string> =>
    await printed(lab.namespaces.device, "ip", ["link", ...words]);
  await on("set", "up0", "nomaster");
  await on("add", "link", "up0", "name", "up0.10", "type", "vlan", "id", "10");
  await on("add", "br10", "type", "bridge", "forward_delay", "0");
  await on("set", "up0.10", "master", "br10", "up");
  await on("set", "br10", "up");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  const outside = await macOutside(lab);
  await using there = await Wire.on(lab.namespaces.outside, link.card);
  await using onA = await Wire.on(lab.boards.a, insideCard);
  await using onB = await Wire.on(lab.boards.b, insideCard);
  for (const [holder, wire, standby] of [
    ["a", onA, onB],
    ["b", onB, onA],
  ] as const) {
    await daemon.handOver(holder, signal);
    await there.say(frame("0b0d", serviceMac, outside, 10));
    await wire.until(({ payload, vlan }) => payload.startsWith("0b0d") && vlan === null);
    await wire.say(frame("0c0d", outside, serviceMac, null));
    await there.until(({ payload, vlan }) => payload.startsWith("0c0d") && vlan === 10);
    const missed = (await standby.heard()).filter(({ etherType }) => etherType === etherTypes.experimental);
    assert.deepEqual(missed, []);
  }
});
