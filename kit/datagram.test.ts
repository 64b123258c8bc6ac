/** The kit in a container: what its programs say on the host's notify socket, received by socat. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { compileDatagram } from "../demo/images/clock.ts";
import { run } from "../src/system/process.ts";

test("what is said reaches the host's socket as one datagram, READY with the version", async ({ signal }) => {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-datagram-"));
  const socket = join(directory, "notify");
  const heard = join(directory, "heard");
  const receiver = spawn("socat", ["-u", `UNIX-RECV:${socket}`, `OPEN:${heard},creat,append`], {
    stdio: "ignore",
  });
  try {
    const program = join(directory, "twinboard-datagram");
    await compileDatagram(program);
    await writeFile(join(directory, "os-release"), 'ID=x\nIMAGE_VERSION="4.2"\n');
    const env = {
      TWINBOARD_SOCKET: socket,
      TWINBOARD_DATAGRAM: program,
      TWINBOARD_OS_RELEASE: join(directory, "os-release"),
      WATCHDOG_USEC: "2000000",
    };
    const notify = join(import.meta.dirname, "twinboard-notify");
    const has = async (text: string): Promise<void> => {
      while (!(await readFile(heard, "utf8").catch(() => "")).includes(text))
        await sleep(20, undefined, { signal });
    };
    while (!existsSync(socket)) await sleep(20, undefined, { signal });
    await run("sh", [notify, "READY=1", "STATUS=up"], { env });
    await has("READY=1\nSTATUS=up\nX_TWINBOARD_VERSION=4.2");
    const kit = spawn("sh", [join(import.meta.dirname, "twinboard-kit")], {
      env: { ...process.env, ...env, TWINBOARD_CONSOLE: "/dev/null" },
      stdio: "ignore",
      detached: true,
    });
    try {
      await has("WATCHDOG=1");
    } finally {
      if (kit.pid !== undefined) process.kill(-kit.pid, "SIGKILL");
      await once(kit, "exit");
    }
    const missing = await run(program, [join(directory, "nobody"), "x"], { allowedExitCodes: [1] });
    assert.equal(missing.exitCode, 1);
    const wrong = await run(program, [socket], { allowedExitCodes: [64] });
    assert.equal(wrong.exitCode, 64);
  } finally {
    receiver.kill();
    await rm(directory, { recursive: true });
  }
});
