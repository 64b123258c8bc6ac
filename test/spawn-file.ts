/** Starts one test file, with an end: a hard time limit, and nothing that it started outlives it. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { eventsFd, type FileEvent } from "./file-event.ts";

export interface FileResult {
  readonly passed: number;
  /** Each with the name of the test and what is wrong. */
  readonly failures: { readonly name: string; readonly detail: string }[];
  readonly skips: { readonly name: string; readonly reason: string }[];
  /** What the file's tests wrote, the last 64 KiB of it. */
  readonly output: string;
  readonly ms: number;
  /** Processor time of the file and of all that it started; unknown where it was ended by force. */
  readonly cpuMs: number | undefined;
}

const outputLimit = 65_536;

/**
 * Own process namespace: when its first process ends, by itself or by us, the kernel ends all others.
 * Own mount namespace with an empty /run/netns: network namespaces live no longer than the file that made them.
 * Its process numbers go on from one that only this file has on the host (pid_namespaces(7), ns_last_pid): tests name what all
 * files share, control groups and directories below /run, by their own number, and files run side by side.
 */
const namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
const inside = [
  "mkdir -p /run/netns && mount -t tmpfs none /run/netns || exit 70",
  'echo "${number:-300}" >/proc/sys/kernel/ns_last_pid || exit 70',
  'unset number; "$@"; exit $?',
].join("; ");

/**
 * Around it all, a shell that tells the processor time last: the kernel adds up what ended inside.
 * times(1posix): its second line is that of the children, user and system, as 1m2.5s.
 */
const timed = `number=$$ "$@"; status=$?; times >&${eventsFd}; exit $status`;
const times = /^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$/;

/** Whether this user may make those namespaces; otherwise what is left behind is not seen. */
export function canIsolate(): boolean {
  return spawnSync("unshare", [...namespaces, "sh", "-c", inside, "sh", "true"]).status === 0;
}

const running = new Set<ChildProcess>();

/** Ends every file that runs, with all that it started. */
export function endAll(): void {
  for (const child of running) end(child);
}

function end(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    // The child leads a process group of its own.
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

function parsed(line: string): FileEvent | undefined {
  try {
    return JSON.parse(line) as FileEvent;
  } catch {
    return undefined;
  }
}

/** Runs a test file to its end or to `limitMs`. Never rejects: what goes wrong is a failure of the file. */
export async function spawnFile(file: string, limitMs: number, isolate: boolean): Promise<FileResult> {
  const started = performance.now();
  const temporary = mkdtempSync("/tmp/tb-test-");
  chmodSync(temporary, 0o1777); // as /tmp: boards run as users of their own
  const program = [process.execPath, resolve("test/one-file.ts"), file, isolate ? "yes" : "no"];
  const command = isolate ? ["unshare", ...namespaces, "sh", "-c", inside, "sh", ...program] : program;
  const child = spawn("sh", ["-c", timed, "sh", ...command], {
    detached: true,
    stdio: [
      "ignore",
      "pipe",
      "pipe",
      ...Array.from({ length: eventsFd - 3 }, () => "ignore" as const),
      "pipe",
    ],
    env: {
      ...process.env,
      PATH: `${resolve("node_modules/.bin")}:${process.env["PATH"] ?? ""}:${resolve(".cache/tools/usr/bin")}:${resolve(".cache/tools/usr/sbin")}`,
      TMPDIR: temporary,
      // Each file reads hundreds of modules, and so does each daemon and each command that it starts: to compile them takes half a second of each.
      NODE_COMPILE_CACHE: resolve(".cache/compiled"),
    },
  });
  running.add(child);

  const result = { passed: 0, failures: [] as FileResult["failures"], skips: [] as FileResult["skips"] };
  const fail = (name: string, detail: string): void => {
    result.failures.push({ name, detail });
  };
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-outputLimit);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);

  let current = "";
  let ended = false;
  let hung = false;
  let cpuMs: number | undefined;
  const events = createInterface({ input: child.stdio.at(eventsFd) as NodeJS.ReadableStream });
  events.on("line", (line) => {
    const spent = times.exec(line)?.slice(1).map(Number);
    if (spent !== undefined) {
      const [userMinutes = 0, user = 0, systemMinutes = 0, system = 0] = spent;
      cpuMs = ((userMinutes + systemMinutes) * 60 + user + system) * 1000;
      return;
    }
    const event = parsed(line);
    if (event === undefined)
      fail("the file", `what it told of its tests cannot be read: ${line.slice(0, 300)}`);
    else if (event.type === "began") current = event.name;
    else if (event.type === "passed") result.passed += 1;
    else if (event.type === "failed") fail(event.name, event.detail);
    else if (event.type === "ended") ended = true;
    else if (event.type === "left") fail("left behind", event.what);
    else if (event.reason !== null) result.skips.push({ name: event.name, reason: event.reason });
    else fail(event.name, "skipped without a reason");
  });

  const timer = setTimeout(() => {
    hung = true;
    end(child);
  }, limitMs);
  const how = await new Promise<string>((done) => {
    child.on("error", (error) => done(error.message));
    child.on("close", (code, signal) => done(signal ?? `exit code ${code}`));
  });
  clearTimeout(timer);
  running.delete(child);
  rmSync(temporary, { recursive: true, force: true });

  if (hung) {
    const where = ended ? "after its tests had ended: something keeps the process alive" : `in: ${current}`;
    fail("time limit", `not at its end after ${limitMs / 1000} s, ${where}`);
  } else if (!ended) fail("the file", `it ended early (${how}), in: ${current}`);
  else if (how !== "exit code 0" && result.failures.length === 0) fail("the file", how);
  if (result.passed + result.failures.length + result.skips.length === 0)
    fail("the file", "it holds no test");
  return { ...result, output, ms: performance.now() - started, cpuMs };
}
