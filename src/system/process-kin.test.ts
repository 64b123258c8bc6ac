import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { killKin, kinOf, type ProcessRow } from "./process-kin.ts";

function row(pid: number, parent: number, session: number): ProcessRow {
  return { pid, parent, session };
}

test("kin are those that descend from a process, and those of the sessions that they lead", () => {
  const rows = [
    row(1, 0, 1),
    row(5, 1, 1),
    row(6, 5, 6),
    row(7, 6, 6),
    row(8, 1, 6),
    row(9, 8, 9),
    row(10, 1, 1),
  ];
  assert.deepEqual(kinOf(rows, [5]), [5, 6, 7, 8, 9]);
  assert.deepEqual(kinOf(rows, [7]), [7]);
  assert.deepEqual(kinOf(rows, [4711]), []);
  assert.deepEqual(
    kinOf(
      rows.filter(({ pid }) => pid !== 6),
      [6],
    ),
    [7, 8, 9],
    "it is dead, and is known by what it left",
  );
});

test("all of it is killed, also what is in a session of its own and what has lost its parent", {
  timeout: 30_000,
}, async () => {
  const script = "setsid sleep 4711 & (sleep 4711 &) ; sleep 4711 & echo begun; wait";
  const child = spawn("sh", ["-c", script], { detached: true, stdio: ["ignore", "pipe", "ignore"] });
  await once(child.stdout, "data");
  // The last of them holds it open.
  const closed = once(child.stdout.resume(), "close");
  await killKin([child.pid ?? 0], 10_000);
  await closed;
});
