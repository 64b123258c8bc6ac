/** The device of the lab: the real daemon in a network namespace, and the real command, as somebody on the device would type it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "../src/cli/client.ts";
import { type RunResult, run } from "../src/system/process.ts";
import type { JournalRecord, StoryKind } from "../src/upgrade/record.ts";
import type { StoryResult, SystemStatus } from "../src/upgrade/status.ts";
import type { Namespace } from "../test/fixtures/namespaces.ts";

export const program = resolve(import.meta.dirname, "../bin/twinboard");

/** Exit codes of the command: 1 failed, 2 rejected, 3 stuck. */
const refusals = [1, 2, 3];
const startTimeoutMs = 60_000;
const storyTimeoutMs = 180_000;
const downTimeoutMs = 60_000;

export interface DeviceFiles {
  readonly config: string;
  readonly socket: string;
  /** Where the daemon's output goes. */
  readonly log: string;
}

export type OnRecord = (record: JournalRecord) => void;

export class Device implements AsyncDisposable {
  readonly #namespace: Namespace;
  readonly #files: DeviceFiles;
  #daemon: ChildProcess;

  private constructor(namespace: Namespace, files: DeviceFiles, daemon: ChildProcess) {
    this.#namespace = namespace;
    this.#files = files;
    this.#daemon = daemon;
  }

  /** Starts the daemon, and resolves once it answers. Errors: its own words, if it ends or does not answer in time. */
  static async start(namespace: Namespace, files: DeviceFiles, signal: AbortSignal): Promise<Device> {
    const device = new Device(namespace, files, await spawnDaemon(namespace, files));
    try {
      await device.#serving(signal);
    } catch (error) {
      await device[Symbol.asyncDispose]();
      throw error;
    }
    return device;
  }

  /**
   * Ends the daemon as a crash would, by SIGKILL, and starts another; resolves once that one answers. Boards and rules stay.
   * @param meanwhile happens while there is no daemon.
   * @param wrapper a command line that runs the one that follows it, for the new daemon.
   */
  async crashDaemon(
    signal: AbortSignal,
    meanwhile: () => Promise<void> = () => Promise.resolve(),
    wrapper: readonly string[] = [],
  ): Promise<void> {
    const ended = once(this.#daemon, "exit");
    this.#daemon.kill("SIGKILL");
    await ended;
    await meanwhile();
    this.#daemon = await spawnDaemon(this.#namespace, this.#files, wrapper);
    await this.#serving(signal);
  }

  /** Ends the daemon by SIGTERM and starts another, which reads the configuration anew; boards and rules stay. */
  async restartDaemon(signal: AbortSignal): Promise<void> {
    const ended = once(this.#daemon, "exit");
    this.#daemon.kill("SIGTERM");
    await ended;
    this.#daemon = await spawnDaemon(this.#namespace, this.#files);
    await this.#serving(signal);
  }

  /** Process id of the daemon. */
  get pid(): number {
    return this.#daemon.pid ?? 0;
  }

  async #serving(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + startTimeoutMs;
    while ((await this.#run(["status"], signal)).exitCode !== 0) {
      if (!this.#isRunning || performance.now() > deadline)
        throw new Error(`the daemon does not serve:\n${await readFile(this.#files.log, "utf8")}`);
      await sleep(100, undefined, { signal });
    }
  }

  async status(signal: AbortSignal): Promise<SystemStatus> {
    const { stdout } = await this.#run(["status", "--json"], signal);
    return JSON.parse(stdout.toString()) as SystemStatus;
  }

  /** Runs `twinboard upgrade BUNDLE` to its end, whatever that is; `onRecord` sees the journal's records as they come. */
  async upgrade(bundle: string, onRecord: OnRecord, signal: AbortSignal): Promise<StoryResult> {
    return await this.#story(["upgrade", bundle], onRecord, signal);
  }

  /** Runs `twinboard rollback` to its end, as `upgrade`. */
  async rollback(onRecord: OnRecord, signal: AbortSignal): Promise<StoryResult> {
    return await this.#story(["rollback"], onRecord, signal);
  }

  /** Resolves with the result of the next story of this kind that begins by itself after the record `afterSeq`. */
  async storyOfItself(
    kind: StoryKind,
    afterSeq: number,
    onRecord: OnRecord,
    signal: AbortSignal,
  ): Promise<StoryResult> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(storyTimeoutMs)]);
    for await (const event of new Client(this.#files.socket).events(afterSeq, limit)) {
      if (!("record" in event) || event.record.kind !== kind) continue;
      onRecord(event.record);
      if (event.record.event === "story-ended") return event.record.data["result"] as StoryResult;
    }
    throw new Error(`the daemon ended before a ${kind} had`);
  }

  async #story(verb: readonly string[], onRecord: OnRecord, signal: AbortSignal): Promise<StoryResult> {
    const [command, args] = this.#enter([...verb, "--json"]);
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "ignore"],
      signal: AbortSignal.any([signal, AbortSignal.timeout(storyTimeoutMs)]),
    });
    const ended = once(child, "close");
    let result: StoryResult | undefined;
    let last = "";
    createInterface({ input: child.stdout }).on("line", (line) => {
      last = line;
      const said = JSON.parse(line) as { record?: JournalRecord; result?: StoryResult };
      if (said.record !== undefined) onRecord(said.record);
      result ??= said.result;
    });
    await ended;
    if (result === undefined) throw new Error(`twinboard ${verb.join(" ")} ended without a result: ${last}`);
    return result;
  }

  /** `twinboard down`, after which the daemon ends by itself; before it `cancel`, since a story that is under way comes first. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isRunning) return;
    const ended = once(this.#daemon, "exit");
    const deadline = performance.now() + downTimeoutMs;
    try {
      await this.#run(["cancel"]);
      for (;;) {
        const { exitCode, stderr } = await this.#run(["down", "--config", this.#files.config]);
        if (exitCode === 0) break;
        if (performance.now() > deadline) throw new Error(`the lab cannot be taken down: ${stderr}`);
        await sleep(200);
      }
      await Promise.race([ended, sleep(downTimeoutMs, undefined, { ref: false })]);
    } finally {
      this.#daemon.kill("SIGKILL");
    }
  }

  get #isRunning(): boolean {
    return this.#daemon.exitCode === null && this.#daemon.signalCode === null;
  }

  /** Inside the namespace, so that the command ends with it, whatever becomes of the demo. */
  #enter(args: readonly string[]): [command: string, args: string[]] {
    return this.#namespace.enter(program, [...args, "--socket", this.#files.socket]);
  }

  async #run(args: readonly string[], signal?: AbortSignal): Promise<RunResult> {
    const [command, line] = this.#enter(args);
    const limits = { timeoutMs: downTimeoutMs, allowedExitCodes: refusals };
    return await run(command, line, signal === undefined ? limits : { ...limits, signal });
  }
}

async function spawnDaemon(
  namespace: Namespace,
  files: DeviceFiles,
  wrapper: readonly string[] = [],
): Promise<ChildProcess> {
  const { config, socket, log } = files;
  const line = [...wrapper, program, "serve", "--config", config, "--socket", socket];
  const [command, args] = namespace.enter(line[0] ?? program, line.slice(1));
  await using file = await open(log, "a");
  // A group of its own: Ctrl-C in the terminal is for the demo, which ends the daemon in its turn.
  return spawn(command, args, { stdio: ["ignore", file.fd, file.fd], detached: true });
}
