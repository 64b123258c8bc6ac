/** A machine that sleeps, and that somebody other than the daemon lets go on. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { machineDirectory } from "../../src/board/qemu/board-directories.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { makeQemuSubject } from "../fixtures/board/qemu-subject.ts";

test("a dormant machine that is told to go on behind the daemon's back is found to run, and sleeps again", {
  skip: await whyNoMachines(),
  timeout: 180_000,
}, async ({ signal }) => {
  await using subject = await makeQemuSubject();
  const { board, restart, options } = subject;
  await board.start({ ...subject.software(), priority: "service" }, signal);
  await board.ready(signal);
  await board.pause(signal);
  assert.equal((await board.inspect()).state, "dormant");
  // QEMU speaks with one at a time.
  await board.release();
  const socket = connect(join(machineDirectory(options.names, "a"), "qmp")).resume();
  await once(socket, "data");
  socket.write('{"execute":"qmp_capabilities"}{"execute":"cont"}');
  await once(socket, "data");
  socket.end();
  await once(socket, "close");
  const next = restart();
  while ((await next.inspect()).state === "dormant") await sleep(50, undefined, { signal });
  assert.equal((await next.inspect()).state, "running");
  await next.pause(signal);
  assert.equal((await next.inspect()).state, "dormant");
  await next.resume(signal);
  assert.equal((await next.inspect()).state, "running");
});
