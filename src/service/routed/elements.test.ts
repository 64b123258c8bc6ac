import assert from "node:assert/strict";
import { test } from "node:test";
import { systemNames } from "../../system/names.ts";
import { absent, conditionOf, shut, tableFile, takeover } from "./elements.ts";
import type { RoutedPlan } from "./plan.ts";
import { rulesFor } from "./rules.ts";

const names = systemNames("test");
const plan: RoutedPlan = {
  names,
  uplink: "up0",
  links: { ipv4: { a: "10.231.0.2", b: "10.231.0.3", host: "10.231.0.1", prefixLength: 29 } },
  services: [
    {
      name: "web",
      protocol: "tcp",
      address: "198.51.100.10",
      port: 80,
      insidePort: 8080,
      drainMs: 1,
      quietMs: 1,
    },
    { name: "mqtt", protocol: "tcp", address: "198.51.100.11", port: 1883, drainMs: 1, quietMs: 1 },
  ],
  markMask: 0x00ff_ffff,
  stateDirectory: "/nonexistent",
};
const links6 = { a: "fd00::2", b: "fd00::3", host: "fd00::1", prefixLength: 64 };
const both: RoutedPlan = {
  ...plan,
  links: { ...plan.links, ipv6: links6 },
  services: [
    ...plan.services,
    {
      name: "web6",
      protocol: "tcp",
      address: "2001:db8::10",
      port: 80,
      insidePort: 8080,
      drainMs: 1,
      quietMs: 1,
    },
  ],
};
const cardA = names.card("a", "service");
const cardB = names.card("b", "service");

test("a takeover is one line that states everything it leaves behind, and begins with the epoch", () => {
  const from = { present: true, holder: "a", draining: "b", epoch: 7 } as const;
  const t = `inet ${names.table}`;
  assert.deepEqual(takeover(plan, from, "b").split("; "), [
    `delete element ${t} epoch { 7 }`,
    `add element ${t} epoch { 8 }`,
    `flush map ${t} services4`,
    `flush set ${t} holder`,
    `flush set ${t} draining`,
    `flush set ${t} cut`,
    `flush set ${t} closing4`,
    `add element ${t} services4 { 198.51.100.10 . tcp . 80 : 10.231.0.3 . 8080, 198.51.100.11 . tcp . 1883 : 10.231.0.3 . 1883 }`,
    `add element ${t} holder { "${cardB}" }`,
    `add element ${t} draining { "${cardA}" }`,
  ]);
});

test("a takeover moves both families at once, each service to the board's address of its own family", () => {
  const from = { present: true, holder: "a", draining: null, epoch: 7 } as const;
  const t = `inet ${names.table}`;
  assert.deepEqual(takeover(both, from, "b").split("; "), [
    `delete element ${t} epoch { 7 }`,
    `add element ${t} epoch { 8 }`,
    `flush map ${t} services4`,
    `flush map ${t} services6`,
    `flush set ${t} holder`,
    `flush set ${t} draining`,
    `flush set ${t} cut`,
    `flush set ${t} closing4`,
    `flush set ${t} closing6`,
    `add element ${t} services4 { 198.51.100.10 . tcp . 80 : 10.231.0.3 . 8080, 198.51.100.11 . tcp . 1883 : 10.231.0.3 . 1883 }`,
    `add element ${t} services6 { 2001:db8::10 . tcp . 80 : fd00::3 . 8080 }`,
    `add element ${t} holder { "${cardB}" }`,
    `add element ${t} draining { "${cardA}" }`,
  ]);
});

test("a family without services is flushed and gets nothing", () => {
  const from = { present: true, holder: "a", draining: null, epoch: 7 } as const;
  const six: RoutedPlan = { ...both, services: both.services.slice(2) };
  assert.doesNotMatch(takeover(six, from, "b"), /add element \S+ \S+ services4/);
  assert.match(
    tableFile(six, rulesFor(six, { ipv4: "nothing", ipv6: "nothing" }), absent),
    /map services4 \{[^}]*\}/,
  );
});

test("the first takeover leaves nobody draining", () => {
  const from = { present: true, holder: null, draining: null, epoch: 1 } as const;
  assert.doesNotMatch(takeover(plan, from, "a"), /add element \S+ \S+ draining/);
});

test("a fenced board's flows are cut service by service", () => {
  assert.match(shut(plan, 3, "b"), /delete element \S+ \S+ epoch \{ 3 \}; add element \S+ \S+ epoch \{ 3 \}/);
  assert.match(shut(plan, 3, "b"), /cut \{ 0x1800, 0x2800 \}$/);
});

test("a table is replaced only while its epoch is the one that was read, and keeps holder and draining", () => {
  const rules = rulesFor(plan, { ipv4: "uplink", ipv6: "nothing" });
  const fresh = tableFile(plan, rules, absent);
  assert.doesNotMatch(fresh, /delete table/);
  assert.match(fresh, /set holder \{ type ifname; {2}\}/);
  const again = tableFile(plan, rules, {
    present: true,
    holder: "a",
    draining: null,
    epoch: 4,
    digest: 1,
    boards: [],
  });
  assert.match(again, new RegExp(`^delete element inet ${names.table} epoch \\{ 4 \\}\ndelete table`));
  assert.match(again, new RegExp(`set holder \\{ type ifname; elements = \\{ "${cardA}" \\}`));
  assert.match(again, /set cut \{ type mark; elements = \{ 0x1800, 0x2800 \}/, "b stays fenced");
});

test("a host that passed nothing on before passes on nothing but the service now", () => {
  assert.match(rulesFor(plan, { ipv4: "uplink", ipv6: "nothing" }).text, /ipv4 iifname "up0" drop/);
  assert.doesNotMatch(rulesFor(plan, { ipv4: "nothing", ipv6: "nothing" }).text, /ipv4 iifname "up0" drop/);
  assert.notEqual(
    rulesFor(plan, { ipv4: "nothing", ipv6: "nothing" }).digest,
    rulesFor(plan, { ipv4: "uplink", ipv6: "nothing" }).digest,
  );
});

test("the condition is what the sets say", () => {
  assert.deepEqual(conditionOf(plan, undefined), absent);
  const sets = [
    { name: "rules", elements: [123] },
    { name: "epoch", elements: [9] },
    { name: "holder", elements: [cardB] },
    { name: "draining", elements: [] },
    { name: "boards4", elements: ["10.231.0.2", "10.231.0.3"] },
    { name: "boards6", elements: ["fd00::2", "fd00::3"] },
  ];
  assert.deepEqual(conditionOf(plan, sets), {
    present: true,
    holder: "b",
    draining: null,
    epoch: 9,
    digest: 123,
    boards: ["10.231.0.2", "10.231.0.3", "fd00::2", "fd00::3"],
  });
});
