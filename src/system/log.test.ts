import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "./log.ts";

test("journald gets priorities and one line an event, whatever a board has said", () => {
  const lines: string[] = [];
  createLog((line) => lines.push(line), true)("warning", "board b says: x\n<0>forged", { code: "a b", n: 1 });
  assert.deepEqual(lines, ['<4>board b says: x | <0>forged code="a b" n=1\n']);
});

test("elsewhere a line begins with its time", () => {
  const lines: string[] = [];
  createLog((line) => lines.push(line), false)("info", "serving", { socket: "/run/x", none: undefined });
  assert.match(lines.join(""), /^\d{4}-\d\d-\d\dT[\d:.]+Z info serving socket="\/run\/x"\n$/);
});
