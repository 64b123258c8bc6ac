import assert from "node:assert/strict";
import { test } from "node:test";
import { systemNames } from "../../system/names.ts";
import { absent, digestOf, type Standing, shut, standingOf, tablesFile, takeover } from "./register.ts";
import type { WiringTable } from "./wiring.ts";

const names = systemNames("test");
const cardA = names.card("a", "service");
const cardB = names.card("b", "service");
const t = `inet ${names.table}`;
const inet: WiringTable = {
  family: "inet",
  rules: "chain one { }",
  elements: () => "set two { type mark; }",
};
const bridge: WiringTable = {
  family: "bridge",
  rules: "chain three { }",
  elements: ({ holder }) => `# ${holder ?? "nobody"} hears`,
};
const serving: Standing = { ...absent, present: true, holder: "a", epoch: 4, digest: 1 };

test("a takeover is one line that states everything it leaves behind, and begins with the epoch", () => {
  const from = { present: true, holder: "a", draining: "b", epoch: 7 } as const;
  assert.deepEqual(takeover(names, from, "b", ["one", "two"]).split("; "), [
    `delete element ${t} epoch { 7 }`,
    `add element ${t} epoch { 8 }`,
    `flush set ${t} holder`,
    `flush set ${t} held`,
    `flush set ${t} draining`,
    "one",
    "two",
    `add element ${t} holder { "${cardB}" }`,
    `add element ${t} held { "${cardB}" }`,
    `add element ${t} draining { "${cardA}" }`,
  ]);
});

test("the first takeover leaves nobody draining", () => {
  const from = { present: true, holder: null, draining: null, epoch: 1 } as const;
  assert.doesNotMatch(takeover(names, from, "a", []), /add element \S+ \S+ draining/);
});

test("a board is shut off only while the epoch is the one that was read", () => {
  assert.equal(
    shut(names, 3, ["one"]),
    `delete element ${t} epoch { 3 }; add element ${t} epoch { 3 }; flush set ${t} draining; one`,
  );
});

test("tables are replaced only while the epoch is the one that was read, and keep holder and draining", () => {
  const fresh = tablesFile(names, [inet], absent, []);
  assert.doesNotMatch(fresh, /delete table/);
  assert.match(fresh, /set holder \{ type ifname; {2}\}/);
  const again = tablesFile(names, [inet], serving, ["inet"]);
  assert.match(again, new RegExp(`^delete element ${t} epoch \\{ 4 \\}\ndelete table ${t}\n`));
  assert.match(again, new RegExp(`set holder \\{ type ifname; elements = \\{ "${cardA}" \\}`));
});

test("tables of all families are made in one transaction, and those that another wiring left go with it", () => {
  const file = tablesFile(names, [inet, bridge], serving, ["inet", "netdev"]);
  assert.match(file, new RegExp(`delete table netdev ${names.table}\n`));
  assert.match(
    file,
    new RegExp(`\\}\ntable bridge ${names.table} \\{\n# a hears\nchain three \\{ \\}\n\\}\n$`),
  );
});

test("a leftover of another family is no reason to believe in an epoch", () => {
  const file = tablesFile(names, [inet], absent, ["bridge"]);
  assert.match(file, new RegExp(`^delete table bridge ${names.table}\ntable inet`));
});

test("the digest tells rules from others, whatever their family", () => {
  const kinds = [[], [inet], [bridge], [inet, bridge], [{ ...inet, rules: bridge.rules }]];
  assert.equal(new Set(kinds.map((tables) => digestOf(names, tables))).size, kinds.length);
  assert.equal(digestOf(names, [inet]), digestOf(names, [{ ...inet, elements: () => "" }]));
});

test("how things stand is what the sets say", () => {
  assert.deepEqual(standingOf(names, undefined), absent);
  const sets = [
    { name: "rules", elements: [123] },
    { name: "epoch", elements: [9] },
    { name: "shape", elements: [77] },
    { name: "holder", elements: [cardB] },
    { name: "held", elements: [cardB] },
    { name: "draining", elements: [] },
  ];
  const expected = { present: true, holder: "b", draining: null, epoch: 9, digest: 123, shape: 77, sets };
  assert.deepEqual(standingOf(names, sets), expected);
});

test("an element that somebody took away is told, and the other place says who holds", () => {
  const all = { rules: [1], shape: [2], epoch: [9], holder: [cardB], held: [cardB] };
  const without = (key: keyof typeof all): Standing =>
    standingOf(
      names,
      Object.entries(all).map(([name, elements]) => ({ name, elements: name === key ? [] : elements })),
    );
  for (const key of ["holder", "held"] as const) {
    const { holder, damage = "" } = without(key);
    assert.equal(holder, "b");
    assert.match(damage, /took the board in service out/);
  }
  const standing = without("epoch");
  assert.match(standing.damage ?? "", /took the epoch out/);
  assert.match(takeover(names, standing, "a", []), new RegExp(`^create element ${t} epoch \\{ 1 \\};`));
  assert.doesNotMatch(tablesFile(names, [inet], standing, ["inet"]), /delete element|epoch \{[^}]*\b0\b/);
});
