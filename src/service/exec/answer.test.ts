import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseAnswer, parseDrain } from "./answer.ts";

void test("whatever a program says is an answer within limits, or a sentence", () => {
  const said = fc.oneof(
    fc.string(),
    fc.json(),
    fc.json().map((json) => `{"holder": ${json}, "trouble": ${json}}`),
  );
  fc.assert(
    fc.property(said, (text) => {
      const answer = parseAnswer(text);
      if (typeof answer === "string") return assert.ok(answer.startsWith("expected") && answer.length < 200);
      assert.ok(answer.holder === null || answer.holder === "a" || answer.holder === "b");
      assert.ok(answer.trouble === null || (answer.trouble !== "" && answer.trouble.length <= 500));
    }),
  );
});

void test("counts are whole numbers, or there are none", () => {
  const zero = { left: 0, finished: 0, closedEarly: 0, cut: 0, remarks: [] };
  assert.deepEqual(parseDrain(" \n"), zero);
  assert.deepEqual(parseDrain('{"cut": 2, "other": []}'), { ...zero, cut: 2 });
  for (const bad of [
    '{"cut": -1}',
    '{"cut": 1.5}',
    '{"cut": "1"}',
    '{"remarks": "slow"}',
    '{"remarks": [1]}',
    "[]",
  ])
    assert.match(JSON.stringify(parseDrain(bad)), /^"expected/);
  fc.assert(
    fc.property(fc.json(), (text) => {
      const drained = parseDrain(text);
      if (typeof drained === "string") return;
      for (const count of [drained.left, drained.finished, drained.closedEarly, drained.cut])
        assert.ok(Number.isSafeInteger(count) && count >= 0);
    }),
  );
});

void test("text for people has no control characters and an end", () => {
  const trouble = `a \u001b[31mred\nline ${"x".repeat(1000)}`;
  const answer = parseAnswer(JSON.stringify({ holder: null, trouble }));
  assert.ok(typeof answer !== "string");
  assert.match(answer.trouble ?? "", /^a +\[31mred line x+$/);
  assert.equal(answer.trouble?.length, 500);
  const remarks = Array.from({ length: 100 }, () => "slow");
  const drained = parseDrain(JSON.stringify({ remarks }));
  assert.ok(typeof drained !== "string" && drained.remarks.length === 20);
});
