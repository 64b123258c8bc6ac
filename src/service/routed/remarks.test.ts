import assert from "node:assert/strict";
import { test } from "node:test";
import { Remarks } from "./remarks.ts";

function settings(count: string, most: string): (path: string) => Promise<string> {
  return (path) => Promise.resolve(path.endsWith("max") ? most : count);
}

test("a table of flows that was full is told, one with room or without a limit is not", async () => {
  const remarks = new Remarks("a");
  await remarks.noteTable(settings("9999", "10000"));
  await remarks.noteTable(settings("9999", "0"));
  assert.deepEqual(remarks.sentences(), []);
  await remarks.noteTable(settings("10000", "10000"));
  await remarks.noteTable(settings("1", "10000"));
  assert.match(
    remarks.sentences().join(),
    /^the kernel's table of flows was full \(nf_conntrack_max is 10000\)/,
  );
});

test("ends that could not be told are counted over all cuts", () => {
  const remarks = new Remarks("b");
  remarks.noteCut({ seen: [], clientsUntold: 0, boardsUntold: 0 });
  assert.deepEqual(remarks.sentences(), []);
  remarks.noteCut({ seen: [], clientsUntold: 1, boardsUntold: 2 });
  remarks.noteBoardSilent(3);
  const [clients, board] = remarks.sentences();
  assert.match(clients ?? "", /^the clients of 1 flow could not be told/);
  assert.match(board ?? "", /^board b did not answer for 5 flows/);
});
