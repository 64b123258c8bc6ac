import assert from "node:assert/strict";
import { test } from "node:test";
import { systemNames } from "../../system/names.ts";
import { gateElements, gateRules, gateShut, gateTakeover } from "./gate.ts";
import type { SharedIdentity } from "./identity.ts";

const names = systemNames("test");
const cardA = `"${names.card("a", "service")}"`;
const cardB = `"${names.card("b", "service")}"`;
const at = (name: string): string => `bridge ${names.table} ${name}`;
const identity: SharedIdentity = { mac: "52:54:00:00:00:10", ipv4: "198.51.100.10", ipv6: "2001:db8::10" };
const kind = { standbyAsks: true, refuseStrangers: true };

test("a takeover states both sides of the gate as a whole, and the kernel ends the old board's linger", () => {
  assert.deepEqual(gateTakeover(names, "a", "b", { speaksMs: 20, hearsMs: 0 }), [
    `flush set ${at("rx")}`,
    `add element ${at("rx")} { ${cardB} }`,
    `flush set ${at("tx")}`,
    `add element ${at("tx")} { ${cardB} }`,
    `add element ${at("tx")} { ${cardA} timeout 20ms }`,
  ]);
});

test("nobody lingers who did not hold, for no time, or who holds again", () => {
  const lingering = /timeout/;
  assert.doesNotMatch(gateTakeover(names, null, "b", { speaksMs: 20, hearsMs: 20 }).join(), lingering);
  assert.doesNotMatch(gateTakeover(names, "a", "b", { speaksMs: 0, hearsMs: 0 }).join(), lingering);
  assert.doesNotMatch(gateTakeover(names, "a", "a", { speaksMs: 20, hearsMs: 20 }).join(), lingering);
  assert.match(gateTakeover(names, "a", "b", { speaksMs: 0, hearsMs: 7 }).join(), /rx \{ \S+ timeout 7ms \}/);
});

test("shut, the gate is open for the holder alone, or for nobody", () => {
  const flushed = [`flush set ${at("rx")}`, `flush set ${at("tx")}`];
  assert.deepEqual(gateShut(names, null), flushed);
  assert.equal(
    gateShut(names, "a").join("; "),
    flushed
      .map((flush, side) => `${flush}; add element ${at(side === 0 ? "rx" : "tx")} { ${cardA} }`)
      .join("; "),
  );
  assert.doesNotMatch(gateElements(names, null), /elements/);
  assert.equal(gateElements(names, "b").match(new RegExp(cardB, "g"))?.length, 2);
});

test("every hook comes before br_netfilter, which stands at 0 and passes over what stands there too", () => {
  const priorities = [...gateRules(names, identity, kind).matchAll(/ priority (-?\d+);/g)].map(([, at]) =>
    Number(at),
  );
  assert.equal(priorities.length, 3);
  assert.ok(priorities.every((at) => at < -1));
});

test("a standby asks for its neighbours in its own name, and not for itself", () => {
  const rules = gateRules(names, identity, kind);
  assert.match(rules, /arp saddr ip 198\.51\.100\.10 arp daddr ip != 198\.51\.100\.10 /);
  assert.match(rules, /ip6 saddr \{ 2001:db8::10, fe80::5054:ff:fe00:10 \}/);
  assert.match(
    rules,
    /@th,64,128 != \{ 0x20010db8000000000000000000000010, 0xfe80000000000000505400fffe000010 \}/,
  );
});

test("without an IPv4 address it asks nobody in IPv4; by its link-local address it may always ask", () => {
  const rules = gateRules(names, { mac: identity.mac }, kind);
  assert.doesNotMatch(rules, /arp saddr/);
  assert.match(rules, /ip6 saddr \{ fe80::5054:ff:fe00:10 \}/);
});

test("where a standby must not be seen it asks nothing, and where its frames may come back nobody is a stranger", () => {
  const rules = gateRules(names, identity, { standbyAsks: false, refuseStrangers: false });
  assert.doesNotMatch(rules, /chain ask|update/);
  assert.match(rules, /iifname @tx accept\n {2}drop\n/);
});
