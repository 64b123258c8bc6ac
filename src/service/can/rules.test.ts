import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { systemNames } from "../../system/names.ts";
import { type CanWires, isAt, parseRules, rulesAt, rulesOf, speaker, stepsTo } from "./rules.ts";

const names = systemNames("gateway");
const wires: CanWires = { names, name: "bus", bus: "can0", fd: false };
const a = names.canCard("a", "bus", "host");
const b = names.canCard("b", "bus", "host");

const place = fc.oneof(
  fc.record({ verb: fc.constant("lease" as const), board: fc.constantFrom("a" as const, "b" as const) }),
  fc.record({
    verb: fc.constant("settle" as const),
    board: fc.constantFrom("a" as const, "b" as const, null),
  }),
);

void test("a card's name is one that the kernel takes, and nobody else's", () => {
  const all = (["a", "b"] as const).flatMap((board) =>
    ["bus", "bus2"].flatMap((service) =>
      (["host", "board"] as const).map((end) => names.canCard(board, service, end)),
    ),
  );
  assert.equal(new Set(all).size, all.length);
  for (const name of all) assert.match(name, /^tb[0-9a-f]{6}-[ab][0-9a-f]{4}[hb]$/);
});

void test("the rules are those of cangw, both ways, and for CAN FD besides", () => {
  assert.deepEqual(rulesOf(wires, "a"), {
    receive: [`-s can0 -d ${a}`],
    transmit: [`-s ${a} -d can0 -e`],
  });
  assert.deepEqual(rulesOf({ ...wires, fd: true }, "b"), {
    receive: [`-s can0 -d ${b}`, `-s can0 -d ${b} -X`],
    transmit: [`-s ${b} -d can0 -e`, `-s ${b} -d can0 -X -e`],
  });
});

void test("the new board hears before the old one does not, and never do two speak", () => {
  assert.deepEqual(stepsTo(wires, { verb: "lease", board: "b" }), [
    `- -s ${a} -d can0 -e`,
    `- -s ${b} -d can0 -e`,
    `+ -s can0 -d ${a}`,
    `+ -s can0 -d ${b}`,
  ]);
  assert.deepEqual(stepsTo(wires, { verb: "settle", board: "b" }), [
    `- -s ${a} -d can0 -e`,
    `+ -s can0 -d ${b}`,
    `+ -s ${b} -d can0 -e`,
    `- -s can0 -d ${a}`,
  ]);
  assert.deepEqual(
    stepsTo(wires, { verb: "settle", board: null }).map((step) => step[0]),
    ["-", "-", "-", "-"],
  );
});

void test("from wherever it is, the steps lead to where it should be, and in between one speaks at most", () => {
  fc.assert(
    fc.property(fc.boolean(), place, place, (fd, from, to) => {
      const both = { ...wires, fd };
      const rules = [...rulesAt(both, from), "-s can0 -d other"];
      for (const step of stepsTo(both, to)) {
        const rule = step.slice(2);
        const at = rules.indexOf(rule);
        if (step.startsWith("+") && at < 0) rules.push(rule);
        if (step.startsWith("-") && at >= 0) rules.splice(at, 1);
        const speaking = (["a", "b"] as const).filter((board) =>
          rulesOf(both, board).transmit.some((one) => rules.includes(one)),
        );
        assert.ok(speaking.length <= 1);
      }
      assert.ok(isAt(both, rules, to));
      assert.equal(speaker(both, rules), to.verb === "settle" ? to.board : null);
      assert.ok(rules.includes("-s can0 -d other"), "what is not ours stays");
    }),
  );
});

void test("a rule that is there twice is not as it should be", () => {
  const rules = [...rulesAt(wires, { verb: "settle", board: "a" })];
  assert.ok(isAt(wires, rules, { verb: "settle", board: "a" }));
  assert.ok(!isAt(wires, [...rules, ...rules], { verb: "settle", board: "a" }));
  assert.equal(speaker(wires, [...rules, `-s ${b} -d can0 -e`]), null, "two that speak are no holder");
});

void test("what cangw lists is read, other programs' rules too", () => {
  const listed = [
    `cangw -A -s can0 -d ${a} # 12 handled 0 dropped 0 deleted`,
    `cangw -A -s ${a} -d can0 -X -e # 3 handled 1 dropped 0 deleted`,
    "cangw -A -s can1 -d vcan3 -e -f 123:C00007FF -m SET:IL:333.4.1122334455667788 # 0 handled 0 dropped 0 deleted",
  ].join("\n");
  assert.deepEqual(parseRules(`${listed}\n`), [
    `-s can0 -d ${a}`,
    `-s ${a} -d can0 -X -e`,
    "-s can1 -d vcan3 -e -f 123:C00007FF -m SET:IL:333.4.1122334455667788",
  ]);
  assert.deepEqual(parseRules(""), []);
  // A kernel without the gateway answers with its internet routes.
  assert.equal(parseRules("received msg from unknown family 2\n"), undefined);
  fc.assert(fc.property(fc.string(), (text) => void parseRules(text)));
});
