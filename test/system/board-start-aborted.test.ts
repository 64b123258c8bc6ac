/** A start that is given up, or killed, before the board's launch has written down who it is: nothing of it goes on behind the daemon's back. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { processStartTicks } from "../../src/system/host.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { makeQemuSubject } from "../fixtures/board/qemu-subject.ts";
import { makeContainerSubject, whyNoContainers } from "../fixtures/container/subject.ts";

const path = process.env["PATH"] ?? "";
let directory: string;

/** In front of the real one, which begins each launch: it tells its process, and comes no further, as if the host had much to do. */
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "twinboard-aborted-"));
  const script = `#!/bin/sh
PATH='${path}'
echo "$$" >'${directory}/pid.new'
mv '${directory}/pid.new' '${directory}/pid'
while [ -e '${directory}' ]; do sleep 0.05; done
`;
  await writeFile(join(directory, "unshare"), script, { mode: 0o755 });
  process.env["PATH"] = `${directory}${delimiter}${path}`;
});
after(async () => {
  process.env["PATH"] = path;
  // One that was left ends now.
  await rm(directory, { recursive: true });
});

const kinds = [
  { kind: "a machine", why: await whyNoMachines(), make: makeQemuSubject },
  { kind: "a container", why: await whyNoContainers(), make: makeContainerSubject },
];

async function launchedPid(signal: AbortSignal): Promise<number> {
  while (!existsSync(join(directory, "pid"))) await sleep(10, undefined, { signal });
  const pid = Number(await readFile(join(directory, "pid"), "utf8"));
  assert.notEqual(await processStartTicks(pid), undefined);
  return pid;
}

for (const { kind, why, make } of kinds) {
  const options = { skip: why, timeout: 60_000 };

  test(
    `${kind} whose start is given up at its very beginning does not come up later`,
    options,
    async ({ signal }) => {
      await rm(join(directory, "pid"), { force: true });
      await using subject = await make();
      const { board, software } = subject;
      const cancelled = new Error("cancelled");
      const given = new AbortController();
      const starting = assert.rejects(board.start(software(), given.signal), cancelled);
      const pid = await launchedPid(signal);
      given.abort(cancelled);
      await starting;
      assert.equal(await processStartTicks(pid), undefined, "what was begun has ended");
      assert.deepEqual(await board.inspect(), { state: "off" });
    },
  );

  test(`${kind} whose launch is killed is told to be that, and not running`, options, async ({ signal }) => {
    await rm(join(directory, "pid"), { force: true });
    await using subject = await make();
    const { board, software } = subject;
    const starting = assert.rejects(board.start(software(), signal), {
      code: "board-start-killed",
      message: /(QEMU|the launch script) was killed \(SIGKILL\)/,
    });
    process.kill(await launchedPid(signal), "SIGKILL");
    await starting;
    assert.deepEqual(await board.inspect(), { state: "off" });
  });
}
