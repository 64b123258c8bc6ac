/** A machine that was broken into: what its user's rights let it do to the daemon. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import type { BoardStart } from "../../src/board/board.ts";
import { machineDirectory, recordDirectory } from "../../src/board/qemu/board-directories.ts";
import { QemuBoard } from "../../src/board/qemu/qemu-board.ts";
import { run } from "../../src/system/process.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { makeQemuSubject } from "../fixtures/board/qemu-subject.ts";

const skip = await whyNoMachines();

test("a machine that plants links in its directory leads root nowhere else", {
  skip,
  timeout: 180_000,
}, async ({ signal }) => {
  await using subject = await makeQemuSubject();
  const { board, options } = subject;
  const software = (): BoardStart => ({ ...subject.software(), priority: "service" });
  await board.start(software(), signal);
  await board.ready(signal);
  const machine = machineDirectory(options.names, "a");
  const records = recordDirectory(options.names, "a");
  const victims = join(options.stateDirectory, "victims");
  await mkdir(join(victims, "directory"), { recursive: true });
  await writeFile(join(victims, "file"), "untouched");
  await writeFile(join(victims, "directory", "file"), "untouched");
  await using other = await listener(join(victims, "socket"));
  const before = await board.inspect();
  assert.ok(before.state === "running");
  // With the rights of the machine's user, in its own working directory.
  const plant = [
    "for name in process lock dormant dormant.new death death.new console.out; do",
    `rm -f $name; ln -s ${victims}/file $name; done`,
    "for name in qmp notify agent clock; do",
    `rm -f $name; ln -s ${victims}/socket $name; done`,
    `ln -s ${victims}/directory dev; ln -s ${victims}/directory .hidden`,
    `mkdir deep; ln -s ${victims}/directory deep/link; ln -s ${victims}/file deep/file`,
    "chmod 500 deep",
  ];
  const user = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
  await run("setpriv", [...user, "sh", "-ec", plant.join("\n")], { cwd: machine, signal });
  const refused = run("setpriv", [...user, "sh", "-c", `echo >${records}/process`], { signal });
  await assert.rejects(refused, { code: "command-failed" });

  // A daemon that holds its connections goes on; another is not led to the planted socket.
  await board.pause(signal);
  await board.resume(signal);
  await board.release();
  const next = new QemuBoard(options);
  try {
    assert.deepEqual(await next.inspect(), before);
    await assert.rejects(next.ready(signal), { code: "board-died", message: /is not a socket of user/ });
    await next.stop(signal);
    // The next machine is not harmed by what the last one left.
    await next.start(software(), signal);
    await next.ready(signal);
    assert.deepEqual((await readdir(machine)).toSorted(), [
      "agent",
      "clock",
      "console.in",
      "console.out",
      "notify",
      "qmp",
    ]);
    assert.deepEqual((await readdir(records)).toSorted(), ["dev", "lock", "process"]);
    await run("setpriv", [...user, "sh", "-ec", plant.join("\n")], { cwd: machine, signal });
    await next.tearDown(signal);
  } finally {
    await next.release();
  }
  for (const path of ["file", "directory/file"])
    assert.equal(await readFile(join(victims, path), "utf8"), "untouched");
  assert.deepEqual(await readdir(join(victims, "directory")), ["file"]);
  assert.equal(other.connections, 0);
  for (const directory of [machine, records]) await assert.rejects(stat(directory), { code: "ENOENT" });
});

interface Listener extends AsyncDisposable {
  readonly connections: number;
}

async function listener(path: string): Promise<Listener> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  }).listen(path);
  await once(server, "listening");
  return {
    get connections() {
      return connections;
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, "close");
    },
  };
}
