/** What only a real machine can show of the QEMU driver; under emulation. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { chmod, copyFile, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BoardEvent } from "../../src/board/board.ts";
import { consoleHardLimitBytes } from "../../src/board/console.ts";
import { chooseAccelerator, detectAccelerator, refusalOfGuest } from "../../src/board/qemu/accelerator.ts";
import { architectures } from "../../src/board/qemu/architecture.ts";
import { machineDirectory } from "../../src/board/qemu/board-directories.ts";
import type { QemuBoard } from "../../src/board/qemu/qemu-board.ts";
import type { QemuBoardOptions } from "../../src/board/qemu/qemu-options.ts";
import { orAborted } from "../../src/system/abort.ts";
import { run } from "../../src/system/process.ts";
import { shutTaps } from "../../src/system/tap.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { makeQemuSubject, type QemuSubject } from "../fixtures/board/qemu-subject.ts";

const pc = architectures["x86-64"];
const skip = await whyNoMachines();

function on(
  name: string,
  body: (subject: QemuSubject, signal: AbortSignal) => Promise<void>,
  options: Partial<QemuBoardOptions> = {},
): void {
  void test(name, { skip, timeout: 90_000 }, async ({ signal }) => {
    await using subject = await makeQemuSubject(options);
    await body(subject, signal);
  });
}

/** Whether a board that is being started is of the idle class at some time. */
async function yields(board: QemuBoard, starting: Promise<void>, signal: AbortSignal): Promise<boolean> {
  const over = starting.then(
    () => true,
    () => true,
  );
  do if ((await board.confinement()).sharePercent === 0) return true;
  while (!(await Promise.race([over, sleep(10, false, { signal })])));
  return false;
}

describe("QEMU machines", { concurrency: 1 }, () => {
  on(
    "the machine has no privileges, and its control group decides how it yields",
    async ({ board, software }, signal) => {
      const starting = board.start(software(), signal);
      // On a busy host it may have been raised by the time that it has started.
      const background = await yields(board, starting, signal);
      await starting;
      const condition = await board.inspect();
      assert.ok(condition.state === "running");
      const status = await readFile(`/proc/${condition.pid}/status`, "utf8");
      for (const line of [
        /^Uid:(\t65534){4}$/m,
        /^Groups:\s*$/m,
        /^CapEff:\t0{16}$/m,
        /^CapBnd:\t0{16}$/m,
        /^NoNewPrivs:\t1$/m,
        /^Seccomp:\t2$/m,
      ])
        assert.match(status, line);
      assert.match(status, /^Cpus_allowed_list:\t0$/m);
      const { way, path } = board.priority ?? {};
      if (way !== "cpu.idle" || path === undefined) return;
      const idle = async (): Promise<string> => (await readFile(join(path, "cpu.idle"), "utf8")).trim();
      assert.match(await readFile(join(path, "cgroup.procs"), "utf8"), new RegExp(`^${condition.pid}$`, "m"));
      assert.ok(background, "a board boots in the background");
      await board.setPriority("service");
      assert.equal(await idle(), "0");
      await board.setPriority("background");
      assert.equal(await idle(), "1");
      await board.tearDown(signal);
      await assert.rejects(stat(path), { code: "ENOENT" });
    },
    { placement: { cores: [0], emulator: null } },
  );

  on("the host-only card is reached by its link-local address alone", async ({ board, software }, signal) => {
    await board.start(software(), signal);
    await board.ready(signal);
    const response = await fetchOverMgmt(board, "/cmdline", signal);
    for (const word of [
      "twinboard.board=a",
      "twinboard.address4=10.231.0.2/29",
      "twinboard.gateway4=10.231.0.1",
      "quiet",
    ])
      assert.ok(response.includes(word), `${word} in ${response}`);
  });

  on(
    "a dormant machine uses 0 ns over seconds, also while its host-only card is spoken to",
    async ({ board, software }, signal) => {
      await board.start(software(), signal);
      await board.ready(signal);
      await board.setPriority("service");
      await untilNoWorker(board, signal);
      await board.pause(signal);
      const before = await board.usage();
      for (let i = 0; i < 30; i++) {
        const socket = createSocket("udp6");
        await new Promise<void>((resolve) => socket.send("x", 9, board.mgmtHost, () => resolve()));
        socket.close();
        await sleep(100, undefined, { signal });
      }
      assert.deepEqual(await board.usage(), before);
    },
  );

  on(
    "the cards of a dormant board take nothing, whichever daemon looks after it; those of one that runs do",
    async ({ board, restart, software, options }, signal) => {
      const { names } = options;
      const cards = [names.card("a", "mgmt"), names.card("a", "service")];
      const queues = async (): Promise<number[]> => {
        const { stdout } = await run("ip", ["-json", "link", "show"], { signal });
        const all = JSON.parse(stdout.toString()) as { ifname: string; txqlen?: number }[];
        return all.filter(({ ifname }) => cards.includes(ifname)).map(({ txqlen = 0 }) => txqlen);
      };
      const open = [1000, 1000];
      const shut = [0, 0];
      const start = { ...software(), priority: "service" } as const;
      await board.start(start, signal);
      assert.deepEqual(await queues(), open);
      await board.ready(signal);
      await board.pause(signal);
      assert.deepEqual(await queues(), shut);
      await board.release();

      const next = restart();
      await next.setUp(signal);
      assert.deepEqual(await queues(), shut);
      await next.resume(signal);
      assert.deepEqual(await queues(), open);
      await next.pause(signal);
      await next.resume(signal);
      assert.deepEqual(await queues(), open);
      await next.release();
      // A daemon that dies before the machine sleeps.
      await shutTaps(cards, signal);
      const third = restart();
      await third.start(start, signal);
      assert.deepEqual(await queues(), open);
      await third.pause(signal);
      await third.stop(signal);
      await third.start(software(), signal);
      assert.deepEqual(await queues(), open);
    },
  );

  on("a machine whose process hangs can be asked about, and ended", async ({ board, software }, signal) => {
    await board.start(software(), signal);
    await board.ready(signal);
    const { pid = 0 } = { ...(await board.inspect()) } as { readonly pid?: number };
    process.kill(pid, "SIGSTOP");
    assert.equal((await board.inspect()).state, "running");
    await board.stop(signal);
    assert.equal((await board.inspect()).state, "off");
  });

  on(
    "a daemon that is killed with SIGKILL leaves the board running",
    async ({ restart, software, options }, signal) => {
      const daemon = spawn(process.execPath, [join(import.meta.dirname, "../fixtures/board/daemon.ts")], {
        stdio: ["pipe", "pipe", "inherit"],
        // Whatever the kernel sends to a daemon's process group does not reach the board.
        detached: true,
      });
      const start = software();
      const { system, runDirectory } = options.names;
      daemon.stdin.end(JSON.stringify({ options, system, runRoot: dirname(runDirectory), start }));
      await once(daemon.stdout, "data", { signal });
      const ended = once(daemon, "exit");
      process.kill(-(daemon.pid ?? 0), "SIGKILL");
      await ended;
      const board = restart();
      const events: BoardEvent[] = [];
      board.subscribe((event) => events.push(event));
      const condition = await board.inspect();
      assert.ok(condition.state === "running" && condition.instance === start.instance);
      assert.deepEqual(await board.ready(signal), { version: "1.0.0" });
      assert.deepEqual(
        events.map(({ type }) => type),
        ["ready"],
      );
    },
  );

  on(
    "a board that talks without end fills no disk, and its last words are kept",
    async ({ board, software, options }, signal) => {
      const start = software();
      const talk = `${start.kernelArguments} test.talk=1200`;
      await board.start({ ...start, kernelArguments: talk }, signal);
      await board.ready(signal);
      await board.pause(signal);
      const files = (await readdir(options.stateDirectory)).filter((file) => file.includes("console"));
      const sizes = await Promise.all(
        files.map(async (file) => (await stat(join(options.stateDirectory, file))).size),
      );
      assert.ok(sizes.reduce((sum, size) => sum + size, 0) < consoleHardLimitBytes);
      assert.match((await board.consoleTail(3)).join("\n"), /version 1\.0\.0 is up/);
    },
  );

  on("what is typed on the console is done by the board's own shell", async ({ board, software }, signal) => {
    await board.start(software(), signal);
    await board.ready(signal);
    const console = await board.attachConsole(signal);
    await console.write(Buffer.from("echo kernel=$(uname -r)\n"));
    let said = "";
    for await (const bytes of console.output) {
      said += Buffer.from(bytes).toString();
      if (/kernel=\d\S*\r\n/.test(said)) break;
    }
    assert.match(said, /kernel=\d+\.\d+\.\d+/);
    // More than the board's serial port, the FIFO and the board's terminal hold: whoever types waits, the board does not.
    const impatience = AbortSignal.timeout(2000);
    await assert.rejects(orAborted(console.write(Buffer.alloc(1024 * 1024, "#")), impatience), {
      name: "TimeoutError",
    });
    assert.equal(await board.runHook("activate", signal), "done");
  });

  on("what is not the console's input is not written to", async ({ board, software, options }, signal) => {
    await board.start(software(), signal);
    const input = join(machineDirectory(options.names, "a"), "console.in");
    const other = join(options.stateDirectory, "other");
    await writeFile(other, "untouched");
    await rm(input);
    await assert.rejects(board.attachConsole(signal), { code: "board-not-running" });
    await symlink(other, input);
    await assert.rejects(board.attachConsole(signal), { code: "board-not-running" });
    await rm(input);
    await copyFile(other, input);
    await assert.rejects(board.attachConsole(signal), { code: "board-not-running" });
    assert.equal(await readFile(input, "utf8"), "untouched");
  });

  on("what cannot be booted is refused with the reason", async ({ board, software, options }, signal) => {
    const start = software();
    const kernel = join(options.stateDirectory, "kernel");
    const refused = async (images: Record<string, string>, detail: RegExp): Promise<void> => {
      await assert.rejects(board.start({ ...start, images }, signal), {
        name: "TwinboardError",
        code: "board-start-failed",
        message: detail,
      });
      assert.deepEqual(await board.inspect(), { state: "off" });
    };
    const good = { ...start.images };
    await board.setUp(signal);
    await refused({}, /the slot holds no rootfs/);
    await refused({ ...good, kernel: "/nonexistent" }, /kernel \/nonexistent: ENOENT/);
    await copyFile(good["kernel"] ?? "", kernel);
    await chmod(kernel, 0o600);
    await refused({ ...good, kernel }, /user 65534 must be able to read it, its mode is 600/);
    await chmod(kernel, 0o644);
    await writeFile(kernel, "no kernel");
    await refused({ ...good, kernel }, /exit code 1: .*qemu/s);
  });

  on(
    "a host without the memory says how much is missing, before anything is started",
    async ({ board, software }, signal) => {
      await assert.rejects(board.start(software(), signal), {
        code: "too-little-memory",
        message: /a board needs \d+ MiB, and \d+ MiB are available/,
      });
      assert.deepEqual(await board.inspect(), { state: "off" });
    },
    { memoryBytes: 2 ** 50 },
  );

  void test("an accelerator is believed when a 64-bit guest has answered", { skip, timeout: 60_000 }, async ({
    signal,
  }) => {
    assert.equal(await refusalOfGuest(pc, "tcg", signal), undefined, "the test guest itself is sound");
    const directory = await mkdtemp(join(tmpdir(), "twinboard-accelerator-"));
    try {
      const cache = join(directory, "accelerator");
      await writeFile(cache, "damaged");
      const found = await detectAccelerator(pc, signal, cache);
      assert.equal(found.accelerator === "kvm", (await refusalOfGuest(pc, "kvm", signal)) === undefined);
      assert.ok(found.reason !== "");
      assert.deepEqual(await detectAccelerator(pc, signal, cache), found);
      assert.deepEqual(await chooseAccelerator(pc, "auto", signal, cache), found);
      assert.equal((await chooseAccelerator(pc, "tcg", signal, cache)).accelerator, "tcg");
      if (found.accelerator === "tcg")
        await assert.rejects(chooseAccelerator(pc, "kvm", signal, cache), { code: "no-kvm" });
      await writeFile(cache, JSON.stringify({ boot: "another boot", accelerator: "kvm", reason: "then" }));
      assert.deepEqual(
        await detectAccelerator(pc, signal, cache),
        found,
        "a finding lasts until the host boots again",
      );
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

/** QEMU's thread that opened files at the start ends after 10 s without work, and what it had used is no longer in the sum. */
async function untilNoWorker(board: QemuBoard, signal: AbortSignal): Promise<void> {
  const condition = await board.inspect();
  assert.ok(condition.state === "running");
  const tasks = `/proc/${condition.pid}/task`;
  for (;;) {
    const names = (await readdir(tasks)).map((thread) => readFile(`${tasks}/${thread}/comm`, "utf8"));
    if (!(await Promise.all(names.map((name) => name.catch(() => "")))).includes("worker\n")) return;
    await sleep(100, undefined, { signal });
  }
}

async function fetchOverMgmt(board: QemuBoard, path: string, signal: AbortSignal): Promise<string> {
  // The guest's own address is tentative for a second after its card came up (RFC 4862).
  for (;;) {
    signal.throwIfAborted();
    const text = await new Promise<string | undefined>((resolve) => {
      const request = get({ host: board.mgmtHost, family: 6, path, signal }, (response) => {
        response.setEncoding("utf8");
        let body = "";
        response.on("data", (chunk: string) => (body += chunk));
        response.on("end", () => resolve(body));
      });
      request.on("error", () => resolve(undefined));
    });
    if (text !== undefined) return text;
    await sleep(50, undefined, { signal });
  }
}
