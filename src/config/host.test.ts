import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCores } from "./host.ts";

test("lists of cores as the kernel prints them", () => {
  const lists = { "0": [0], "0-3": [0, 1, 2, 3], "0,2-3,7\n": [0, 2, 3, 7], "": [], x: [], "1-": [] };
  for (const [text, cores] of Object.entries(lists)) assert.deepEqual([...parseCores(text)], cores, text);
});
