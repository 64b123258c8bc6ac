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
const kind = { standbyAsks: "neighbours", strangers: "told" } as const;

test("a takeover states both sides of the gate as a whole, and the kernel ends the old board's linger", () => {
  assert.deepEqual(gateTakeover(names, "a", "b", { speaksMs: 20, hearsMs: 0 }), [
    `flush map ${at("turn")}`,
    `add element ${at("turn")} { 0 : goto turn_b }`,
    `flush set ${at("rx")}`,
    `add element ${at("rx")} { ${cardB} }`,
    `flush set ${at("late")}`,
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
  assert.match(
    gateTakeover(names, "a", "b", { speaksMs: 0, hearsMs: 7 }).join(),
    /late \{ \S+ timeout 7ms \}/,
  );
});

test("shut, the gate is open for the holder alone, or for nobody", () => {
  const flushed = ["rx", "late", "tx"].map((name) => `flush set ${at(name)}`);
  const turn = `flush map ${at("turn")}`;
  assert.deepEqual(gateShut(names, null), [turn, ...flushed]);
  assert.deepEqual(gateShut(names, "a"), [
    turn,
    `add element ${at("turn")} { 0 : goto turn_a }`,
    flushed[0],
    `add element ${at("rx")} { ${cardA} }`,
    flushed[1],
    flushed[2],
    `add element ${at("tx")} { ${cardA} }`,
  ]);
  assert.doesNotMatch(gateElements(names, null), /elements/);
  assert.equal(gateElements(names, "b").match(new RegExp(cardB, "g"))?.length, 2);
});

test("no hook has br_netfilter's priority, which would be passed over", () => {
  const doubles = { ports: ["da", "db"], sealed: [] };
  for (const standbyAsks of ["neighbours", doubles] as const) {
    const rules = gateRules(names, identity, { standbyAsks, strangers: "told" });
    for (const [, priority] of rules.matchAll(/ hook \S+ priority (\S+);/g)) assert.ok(Number(priority) < 0);
  }
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

test("where a standby must not be seen it asks its gateway's double, and nobody with its MAC address is a stranger to be told", () => {
  const doubles = { ports: ["da", "db"], sealed: ["ba", "bb"], ipv4: "198.51.100.1", ipv6: "fe80::1" };
  const rules = gateRules(names, identity, { standbyAsks: doubles, strangers: "expected" });
  assert.match(rules, /iifname != @boards ether saddr 52:54:00:00:00:10 {2}drop\n/);
  assert.doesNotMatch(rules, /update @strangers|oifname != @asked/);
  assert.match(rules, /arp saddr ip 198\.51\.100\.1 update @gateway4 \{ arp saddr ether timeout 1h \}/);
  assert.match(rules, /ip6 saddr fe80::1 .* update @gateway6 \{ ether saddr timeout 1h \}/);
  // What passes between a standby and its double is judged before anything else that is forwarded.
  const [, hear = ""] = rules.split("chain hear {");
  assert.match(hear, /^\n.*hook forward.*\n {2}iifname @doubles oifname @asked /);
});

test("without a gateway nothing is learned", () => {
  const doubles = { ports: ["da", "db"], sealed: ["ba", "bb"] };
  assert.doesNotMatch(
    gateRules(names, identity, { standbyAsks: doubles, strangers: "expected" }),
    /update @gateway/,
  );
});
