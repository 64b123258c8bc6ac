/** Runs a board's hooks inside its container. */
import { spawn } from "node:child_process";
import { constants, lstat, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { TwinboardError } from "../../errors.ts";
import { coreListText } from "../../system/core-list.ts";
import { killKin } from "../../system/process-kin.ts";
import type { HookName } from "../board.ts";
import { abortedCall } from "../time-limit.ts";
import type { ContainerGroup } from "./container-group.ts";
import { fromHelpers } from "./group-entry.ts";
import { recordFiles } from "./launch-script.ts";
import { processLacks } from "./process-limit.ts";

const directory = ["etc", "twinboard", "hooks"];

export interface HookCall {
  readonly hook: HookName;
  readonly pid: number;
  /** A process that sees the host as the runtime did when it made the container. */
  readonly witness: number;
  readonly runtime: string;
  /** Cores that it is to begin on; empty: all. */
  readonly cores: readonly number[];
  readonly id: string;
  readonly records: string;
  readonly group: ContainerGroup;
}

const killTimeoutMs = 2000;

let calls = 0;

/**
 * Its output goes to the console, within the console's limits. When the signal aborts, the runtime and the program are killed with all that they began.
 * Errors: `hook-failed`, `missing-program`; `runtime-hangs` if a limit of time is over (`abortedCall`) and the runtime had not begun the
 * program; the signal's reason.
 */
export async function runHook(call: HookCall, signal: AbortSignal): Promise<"done" | "absent"> {
  const { hook, pid, witness, runtime, cores, id, records, group } = call;
  signal.throwIfAborted();
  if (!(await isThere(pid, [...directory, hook]))) return "absent";
  calls += 1;
  const pidFile = join(records, `hook.${process.pid}.${calls}`);
  const flags = constants.O_WRONLY | constants.O_NONBLOCK;
  // The helper that hands the console on has the other end, unless it was killed.
  const output = await open(join(records, recordFiles.consoleOutput), flags).catch(() => undefined);
  const sink = output?.fd ?? "ignore";
  const bounded = await group.hasCores();
  const top = await group.top();
  const helpers = top ?? (await group.directories("time"))?.board;
  try {
    const program = `/${[...directory, hook].join("/")}`;
    const args = [
      "--root",
      join(records, recordFiles.runtimeRoot),
      "exec",
      "--pid-file",
      pidFile,
      id,
      program,
    ];
    const status = await new Promise<number>((resolve, reject) => {
      // With the launch script's view of the host, in which the runtime made the container.
      // The container's group bounds it only where there is such a controller.
      const pinned = cores.length === 0 || bounded ? [] : ["taskset", "-c", coreListText(cores)];
      const groups = top === undefined ? [] : [`--cgroup=/proc/${witness}/ns/cgroup`];
      const command = [
        "nsenter",
        `--mount=/proc/${witness}/ns/mnt`,
        ...groups,
        "--",
        ...pinned,
        runtime,
        ...args,
      ];
      const [first = "", ...rest] =
        helpers === undefined ? command : fromHelpers(helpers, top !== undefined, command);
      // It leads a session, by which all that it began is found.
      const child = spawn(first, rest, { detached: true, stdio: ["ignore", sink, sink] });
      const give = async (): Promise<never> => {
        const began = await endHook(child.pid, pidFile, group);
        throw abortedCall(signal, "hook-failed", (limit) =>
          began
            ? new TwinboardError("hook-failed", { detail: `${hook}: not done ${limit}` })
            : new TwinboardError("runtime-hangs", {
                detail: `${runtime} (process ${child.pid}) did not run the hook ${hook} ${limit}`,
              }),
        );
      };
      const abort = (): void => void give().catch(reject);
      signal.addEventListener("abort", abort, { once: true });
      child.once("error", (cause: NodeJS.ErrnoException) => {
        const code = cause.code === "ENOENT" ? "missing-program" : "hook-failed";
        reject(new TwinboardError(code, { detail: `${runtime}: ${cause.message}`, cause }));
      });
      child.once("exit", (code) => {
        signal.removeEventListener("abort", abort);
        if (!signal.aborted) resolve(code ?? -1);
      });
    });
    signal.throwIfAborted();
    if (status === 0) return "done";
    const why = [`exit status ${status}`, ...(await processLacks(group))].join("; the board: ");
    throw new TwinboardError("hook-failed", { detail: `${hook}: ${why}` });
  } finally {
    await output?.close();
    await rm(pidFile, { force: true });
  }
}

/** Step by step, because a symbolic link of the board's would lead through the host's files. */
async function isThere(pid: number, parts: readonly string[]): Promise<boolean> {
  let path = `/proc/${pid}/root`;
  for (const [index, part] of parts.entries()) {
    path = `${path}/${part}`;
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined) return false;
    // Where it leads is for the runtime to find out, inside.
    if (index < parts.length - 1 && !found.isDirectory()) return true;
  }
  return true;
}

/** Kills the runtime and the hook, with all that they began. Returns whether there was a hook to end. */
async function endHook(
  runtime: number | undefined,
  pidFile: string,
  group: ContainerGroup,
): Promise<boolean> {
  const pid = Number(await readFile(pidFile, "utf8").catch(() => ""));
  const began = pid > 0 && (await group.holds(pid));
  await killKin([...(runtime === undefined ? [] : [runtime]), ...(began ? [pid] : [])], killTimeoutMs);
  return pid > 0;
}
