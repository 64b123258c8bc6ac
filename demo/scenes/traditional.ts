/** For contrast: one board that is stopped, installed and booted again, under the same load (docs/demo.md tells how it is kept fair). */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../src/system/process.ts";
import { addIpv6, makeNamespaces, type Namespaces } from "../../test/fixtures/namespaces.ts";
import { type Seen, seen } from "../act.ts";
import { hosts, serviceAddresses } from "../addresses.ts";
import { boardMemoryMiB, type Lab } from "../lab.ts";
import { startLoad } from "../load/load.ts";
import { fullLoad } from "../load/plans.ts";
import { now, type RequestRecord } from "../load/request.ts";
import type { Span } from "../load/window.ts";
import { say, saySeen } from "../narrate.ts";
import type { SingleBoardOptions, SingleBoardTimes } from "../single-board.ts";

const program = join(import.meta.dirname, "../single-board.ts");
/** Load before the stop, and after the board is ready again. */
const beforeMs = 3000;
const afterMs = 3000;
const limitMs = 120_000;

export interface Traditional {
  readonly span: Span;
  readonly times: SingleBoardTimes;
  readonly seen: Seen;
  readonly records: readonly RequestRecord[];
}

/** @param bundles what the board starts with, and what comes. */
export async function traditional(
  lab: Lab,
  bundles: readonly [first: string, second: string],
  signal: AbortSignal,
): Promise<Traditional> {
  await using namespaces = await makeNamespaces("traditional");
  await addIpv6(namespaces);
  for (const { address, device } of serviceAddresses)
    await run("ip", ["-netns", namespaces.outside.name, "route", "add", address, "via", device]);
  await using device = await startDevice(lab, namespaces, bundles);
  await device.says("ready", signal);
  await using load = startLoad(fullLoad(hosts), (command, args) => namespaces.outside.enter(command, args));
  const from = now() + beforeMs;
  await load.settled(from, signal);
  say("  the board is stopped, its slot is written, and it boots; nobody else serves");
  device.child.stdin.write("upgrade\n");
  const times = (await device.says("stop", signal)) as SingleBoardTimes;
  const span = { from, to: now() + afterMs };
  await load.settled(span.to, signal);
  const found = { span, times, seen: seen(load.records, span), records: load.records };
  saySeen(found.seen);
  return found;
}

interface RunningDevice extends AsyncDisposable {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  /** The next thing that it tells, which has this key. */
  says(key: string, signal: AbortSignal): Promise<object>;
}

async function startDevice(
  lab: Lab,
  namespaces: Namespaces,
  [first, second]: readonly [string, string],
): Promise<RunningDevice> {
  // Short: the path of a socket below it has 107 characters at most (unix(7)).
  const directory = join(lab.directory, "one");
  await mkdir(directory);
  const options: SingleBoardOptions = {
    system: `one-${process.pid}`,
    kind: lab.kind,
    directory,
    keyring: lab.signing.keyring,
    first,
    second,
    memoryBytes: boardMemoryMiB * 1024 ** 2,
    addresses: serviceAddresses,
  };
  const [command, args] = namespaces.device.enter(process.execPath, [program, JSON.stringify(options)]);
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], detached: true });
  const ended = once(child, "close");
  ended.catch(() => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    says: async (key, signal) => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
      const line = await Promise.race([lines.next(), once(limit, "abort")]);
      limit.throwIfAborted();
      const said = "value" in line && line.value !== undefined ? (JSON.parse(line.value) as object) : {};
      if (!(key in said)) throw new Error("the single board's device has ended, see its message above");
      return said;
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await Promise.race([ended, sleep(limitMs, undefined, { ref: false })]);
      child.kill("SIGKILL");
    },
  };
}
