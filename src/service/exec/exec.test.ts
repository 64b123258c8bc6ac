/** Programs that do badly, and daemons that die while one runs. What crosses the process boundary is tested across it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, chmod, copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ErrorCode } from "../../errors.ts";
import { systemNames } from "../../system/names.ts";
import { run } from "../../system/process.ts";
import { formerLeases } from "../lease-memory.ts";
import { ExecService } from "./exec.ts";

const program = resolve(import.meta.dirname, "../../../test/fixtures/exec/bad-service");
const signal = AbortSignal.timeout(50_000);

interface Bad extends AsyncDisposable {
  readonly directory: string;
  /** What the program says that it reaches. */
  readonly file: string;
  /** A daemon whose program does this badly. */
  readonly daemon: (verb?: string, fault?: string, timeoutMs?: number) => ExecService;
}

async function bad(): Promise<Bad> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-exec-"));
  const file = join(directory, "holder");
  const daemon: Bad["daemon"] = (verb = "", fault = "", timeoutMs = 10_000) =>
    new ExecService({
      name: "valve",
      names: systemNames("test", join(directory, "run")),
      exec: [program, file, verb, fault],
      timeoutMs,
      drainMs: 0,
    });
  const dispose = (): Promise<void> => rm(directory, { recursive: true, force: true });
  return { directory, file, daemon, [Symbol.asyncDispose]: dispose };
}

async function rejects(work: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
  await assert.rejects(work, { name: "TwinboardError", code, message });
}

/** Set up, and held by board a under epoch 3. */
async function heldByA(service: ExecService): Promise<void> {
  await service.setUp(signal);
  await service.settle("a", 3, signal);
}

void test("a program that is missing, no file or not executable is named", async () => {
  await using subject = await bad();
  const { directory } = subject;
  const names = systemNames("test", join(directory, "run"));
  const of = (path: string): ExecService =>
    new ExecService({ name: "valve", names, exec: [path], timeoutMs: 1000, drainMs: 0 });
  const plain = join(directory, "plain");
  await writeFile(plain, "#!/bin/sh\n");
  await chmod(plain, 0o644);
  await rejects(of(join(directory, "none")).setUp(signal), "missing-program", /valve: ENOENT.*none/);
  await rejects(of(plain).setUp(signal), "missing-program", /valve: .*plain/);
  await rejects(of(directory).setUp(signal), "missing-program", /is no file/);
  assert.equal((await of(plain).inspect()).present, false);
});

void test("a program that is gone by then does not stand in the way of tearing all down", async () => {
  await using subject = await bad();
  const { directory } = subject;
  const copy = join(directory, "program");
  await copyFile(program, copy);
  const names = systemNames("test", join(directory, "run"));
  const exec = [copy, subject.file, "", ""];
  const service = new ExecService({ name: "valve", names, exec, timeoutMs: 10_000, drainMs: 0 });
  await heldByA(service);
  await rm(copy);
  await rejects(service.settle("b", 4, signal), "takeover-failed", /exit code 127/);
  await service.tearDown(signal);
  assert.equal((await service.inspect()).present, false);
});

void test("what no configuration has any more can be made again, to be torn down", async () => {
  await using subject = await bad();
  await heldByA(subject.daemon());
  const names = systemNames("test", join(subject.directory, "run"));
  assert.deepEqual(await formerLeases(names, [{ kind: "exec", name: "valve" }]), []);
  const [former, ...others] = await formerLeases(names, [{ kind: "device", name: "valve" }]);
  assert.deepEqual(others, []);
  const exec = [program, subject.file, "", ""];
  assert.deepEqual(former, {
    kind: "exec",
    name: "valve",
    spec: { exec, timeoutMs: 10_000, drainMs: 0 },
  });
  await subject.daemon().tearDown(signal);
  assert.deepEqual(await formerLeases(names, []), []);
});

void test("a verb that fails is told with its last words, and changes nothing", async () => {
  await using subject = await bad();
  await heldByA(subject.daemon());
  await rejects(
    subject.daemon("lease", "fails").lease("b", 4, signal),
    "takeover-failed",
    /valve: lease: exit code 1: the +\[31mvalve \[0m is stuck$/,
  );
  await rejects(subject.daemon("settle", "fails").settle("b", 4, signal), "takeover-failed", /settle: exit/);
  await rejects(subject.daemon("set-up", "fails").setUp(signal), "command-failed", /set-up: exit code 1/);
  await rejects(subject.daemon("attach", "fails").attach("b", signal), "command-failed", /attach: exit/);
  await rejects(subject.daemon("fence", "fails").fence("b"), "command-failed", /fence: exit code 1/);
  await rejects(subject.daemon("tear-down", "fails").tearDown(signal), "command-failed", /tear-down: exit/);
  const { holder, leasedTo, trouble } = await subject.daemon().inspect();
  assert.deepEqual({ holder, leasedTo, trouble }, { holder: "a", leasedTo: null, trouble: null });
});

void test("a program may know of a later epoch itself", async () => {
  await using subject = await bad();
  await heldByA(subject.daemon());
  await rejects(subject.daemon("lease", "stale").lease("b", 4, signal), "stale-epoch", /exit code 79/);
});

void test("a program that hangs is ended with all that it began", async () => {
  await using subject = await bad();
  await heldByA(subject.daemon());
  const hanging = subject.daemon("lease", "hangs", 500);
  const began = performance.now();
  await rejects(hanging.lease("b", 4, signal), "takeover-failed", /did not end within 500 ms/);
  await subject.daemon().settle("a", 4, signal);
  // Longer than what it left in the background would have waited.
  await sleep(2500 - (performance.now() - began), undefined, { signal });
  assert.equal((await readFile(subject.file, "utf8")).trim(), "a");
});

void test("a call that is given up is ended at once", async () => {
  await using subject = await bad();
  await heldByA(subject.daemon());
  const impatience = new AbortController();
  const leasing = subject.daemon("lease", "hangs").lease("b", 4, impatience.signal);
  const enough = new Error("enough");
  await until(async () => (await readFile(`${subject.file}.calls`, "utf8")).includes("lease b"));
  impatience.abort(enough);
  await assert.rejects(leasing, enough);
  await subject.daemon().settle("a", 4, signal);
});

void test("a program that floods is ended, whatever it floods", async () => {
  await using subject = await bad();
  await heldByA(subject.daemon());
  await rejects(
    subject.daemon("lease", "floods").lease("b", 4, signal),
    "takeover-failed",
    /more than 65536 bytes/,
  );
  const { holder, trouble } = await subject.daemon("inspect", "floods").inspect();
  assert.equal(holder, "a");
  assert.match(trouble ?? "", /more than 65536 bytes/);
});

void test("an inspect that cannot be understood is a trouble, and stops a takeover", async () => {
  await using subject = await bad();
  await heldByA(subject.daemon());
  for (const [fault, what] of [
    ["rubbish", /expected one JSON object, not not +json/],
    ["null", /expected one JSON object, not null/],
    ["silent", /expected one JSON object, not nothing/],
    ["third", /expected "holder": "a", "b" or null, not c/],
    ["fails", /inspect: exit code 1: the/],
    ["hangs", /inspect: .*did not end within 500 ms/],
  ] as const) {
    const service = subject.daemon("inspect", fault, 500);
    const { holder, trouble } = await service.inspect();
    assert.equal(holder, "a", "by what it was told last");
    assert.match(trouble ?? "", what);
    await rejects(service.lease("b", 4, signal), "takeover-failed", what);
    await subject.daemon().settle("a", 4, signal);
  }
});

void test("a program that says another holder is not believed to have obeyed", async () => {
  await using subject = await bad();
  await heldByA(subject.daemon());
  const liar = subject.daemon("inspect", "wrong");
  const { holder, trouble } = await liar.inspect();
  assert.equal(holder, "b", "what is, not what was meant");
  assert.match(trouble ?? "", /the program says that board b has it, and board a should/);
  await rejects(liar.lease("b", 4, signal), "takeover-failed", /board b has it, and nobody should/);
  await rejects(liar.settle("a", 4, signal), "takeover-failed", /board b has it, and board a should/);
  await rejects(subject.daemon("settle", "silent").settle("b", 4, signal), "takeover-failed", /b should/);
});

void test("what it lost by itself is given to it again, once it is looked at", async () => {
  await using subject = await bad();
  const service = subject.daemon();
  await heldByA(service);
  await writeFile(subject.file, "none\n");
  assert.deepEqual(await service.inspect(), {
    present: true,
    holder: "a",
    leasedTo: null,
    epoch: 3,
    trouble: null,
  });
  assert.equal((await readFile(subject.file, "utf8")).trim(), "a");
});

void test("a drain tells its counts; one that fails or hangs is a remark", async () => {
  await using subject = await bad();
  await heldByA(subject.daemon());
  const drain = { sinceMs: Date.now() };
  assert.deepEqual(await subject.daemon("drain", "counts").drain("b", drain, signal), {
    left: 0,
    finished: 3,
    closedEarly: 0,
    cut: 1,
    remarks: ["one valve was slow"],
  });
  for (const [fault, remark] of [
    ["fails", /drain: exit code 1/],
    ["rubbish", /expected one JSON object/],
    ["hangs", /did not end within 500 ms/],
  ] as const) {
    const { remarks } = await subject.daemon("drain", fault, 500).drain("b", drain, signal);
    assert.match(remarks.join(), remark);
  }
});

void test("what it leaves in a session of its own keeps nobody waiting", async () => {
  await using subject = await bad();
  const began = performance.now();
  const service = subject.daemon("settle", "leaves");
  await heldByA(service);
  await service.lease("b", 4, signal);
  assert.ok(performance.now() - began < 20_000);
  process.kill(Number(await readFile(`${subject.file}.child`, "utf8")), "SIGKILL");
});

void test("a daemon dies while its program runs: the next one ends it, and it never acts", async () => {
  await using subject = await bad();
  await heldByA(subject.daemon());
  await run("mkfifo", [`${subject.file}.pipe`]);
  await killed(subject, "settle", "waits", "b", 4, () => exists(`${subject.file}.began`));
  const next = subject.daemon();
  assert.equal((await next.inspect()).holder, "a");
  await next.settle("a", 5, signal);
  // Nobody reads the pipe any more: opened for writing without waiting, it is refused.
  await assert.rejects(
    run("dd", ["if=/dev/null", `of=${subject.file}.pipe`, "oflag=nonblock", "conv=notrunc"]),
    /No such device or address/,
  );
  assert.deepEqual(await next.inspect(), {
    present: true,
    holder: "a",
    leasedTo: null,
    epoch: 5,
    trouble: null,
  });
});

void test("a call of a dead daemon that still waits for its turn comes too late", async () => {
  await using subject = await bad();
  await heldByA(subject.daemon());
  const lock = join(subject.directory, "run", "test", "exec-valve", "lock");
  const other = spawn("sh", ["-c", 'exec flock "$0" cat', lock], { stdio: ["pipe", "pipe", "ignore"] });
  other.stdin.write("held\n");
  await once(other.stdout, "data", { signal });
  await killed(subject, "", "", "b", 4, async () => (await waitersFor(lock)) > 0);
  const settling = subject.daemon().settle("a", 5, signal);
  await until(async () => (await waitersFor(lock)) > 1);
  other.stdin.end();
  await settling;
  await until(async () => (await waitersFor(lock)) === 0);
  const { holder, epoch } = await subject.daemon().inspect();
  assert.deepEqual({ holder, epoch }, { holder: "a", epoch: 5 });
});

/** A daemon of its own settles the service on a board, and is killed once `when` is so. */
async function killed(
  { directory, file }: Bad,
  verb: string,
  fault: string,
  board: string,
  epoch: number,
  when: () => Promise<boolean>,
): Promise<void> {
  const code = `
    import { ExecService } from ${JSON.stringify(join(import.meta.dirname, "exec.ts"))};
    import { systemNames } from ${JSON.stringify(join(import.meta.dirname, "../../system/names.ts"))};
    const [runRoot, program, file, verb, fault, board, epoch] = process.argv.slice(1);
    const exec = [program, file, verb, fault];
    const names = systemNames("test", runRoot);
    await new ExecService({ name: "valve", names, exec, timeoutMs: 10000, drainMs: 0 }).settle(board, Number(epoch), AbortSignal.timeout(60000));`;
  const args = [join(directory, "run"), program, file, verb, fault, board, String(epoch)];
  const daemon = spawn(process.execPath, ["--input-type=module", "-e", code, ...args], { stdio: "inherit" });
  const ended = once(daemon, "exit");
  await until(when);
  daemon.kill("SIGKILL");
  await ended;
}

/** How many wait for a lock, by the kernel's account (proc(5), /proc/locks). */
async function waitersFor(path: string): Promise<number> {
  const { stdout } = await run("stat", ["-c", "%i", path]);
  const inode = stdout.toString().trim();
  const locks = (await readFile("/proc/locks", "utf8")).split("\n");
  return locks.filter((line) => line.includes("->") && line.includes(`:${inode} `)).length;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(10, undefined, { signal });
}
