/**
 * How long the kernel itself worked on each transaction of a daemon's nft: from entering sendmsg(2), by which nft hands a transaction
 * over, until leaving it, by the kernel's own trace. In an instance of the trace of its own, which is removed afterwards.
 * Source: Documentation/trace/ftrace.rst, "Instances", "Event tracing".
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { run } from "../../src/system/process.ts";
import { type Namespace, ownName } from "../../test/fixtures/namespaces.ts";

export interface Transaction {
  /** CLOCK_MONOTONIC. */
  readonly beganMs: number;
  readonly ms: number;
}

/** Watches until its input ends, then prints the trace. Mounted where nobody else sees it. */
const script = `
set -e
# Ctrl-C ends the bench, and that this.
trap "" INT HUP TERM
mount -t tracefs tracefs "$1"
own="$1/instances/$2"
mkdir "$own"
trap 'echo 0 >"$own/events/enable"; cat "$own/trace"; rmdir "$own"' EXIT
echo mono >"$own/trace_clock"
echo "$3" >"$own/set_event_pid"
echo 1 >"$own/events/syscalls/sys_enter_sendmsg/enable"
echo 1 >"$own/events/syscalls/sys_exit_sendmsg/enable"
echo ready
cat >/dev/null
`;

export class KernelTime implements AsyncDisposable {
  readonly #directory: string;
  readonly #child: ChildProcess;
  readonly #output: Promise<string>;

  private constructor(directory: string, child: ChildProcess, output: Promise<string>) {
    this.#directory = directory;
    this.#child = child;
    this.#output = output;
  }

  /** Watches the nft of a daemon in that namespace. `undefined` with a reason said: this kernel or this user has no such trace. */
  static async watch(device: Namespace, say: (line: string) => void): Promise<KernelTime | undefined> {
    const pid = await pidOf("nft", device);
    if (pid === undefined) {
      say("the kernel's own time is not measured: no nft is running");
      return undefined;
    }
    const directory = await mkdtemp(join(tmpdir(), "twinboard-trace-"));
    const args = ["--mount", "sh", "-c", script, "sh", directory, await ownName("trace"), pid];
    const child = spawn("unshare", args, { stdio: ["pipe", "pipe", "pipe"] });
    child.stdin.on("error", () => undefined);
    const complaints = text(child.stderr);
    const ready = Promise.withResolvers<boolean>();
    child.stdout.once("data", () => ready.resolve(true));
    child.once("close", () => ready.resolve(false));
    const watching = new KernelTime(directory, child, text(child.stdout));
    if (await ready.promise) return watching;
    await watching[Symbol.asyncDispose]();
    say(`the kernel's own time is not measured: ${(await complaints).trim()}`);
    return undefined;
  }

  /** Ends it. */
  async stop(): Promise<Transaction[]> {
    this.#child.stdin?.end();
    return transactionsIn(await this.#output);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
    await rmdir(this.#directory);
  }
}

async function pidOf(program: string, { name }: Namespace): Promise<string | undefined> {
  const { stdout } = await run("ip", ["netns", "pids", name]);
  for (const pid of stdout.toString().split("\n").filter(Boolean))
    if ((await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")).trim() === program) return pid;
  return undefined;
}

/** Of a trace's text: `nft-10088  [000] .....  721.330999: sys_sendmsg(fd: 3, …)`, and `sys_sendmsg -> 0xdc` where it ends. Pure. */
export function transactionsIn(trace: string): Transaction[] {
  const found: Transaction[] = [];
  let beganMs: number | undefined;
  for (const [, seconds, what] of trace.matchAll(/ (\d+\.\d+): sys_sendmsg(\(| -> )/g)) {
    const atMs = Number(seconds) * 1000;
    if (what === "(") beganMs = atMs;
    else if (beganMs !== undefined) {
      found.push({ beganMs, ms: atMs - beganMs });
      beganMs = undefined;
    }
  }
  return found;
}
