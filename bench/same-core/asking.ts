/** What is asked of what serves on the shared core, from another core: datagrams of a program, or a board's web server. */
import { setTimeout as sleep } from "node:timers/promises";
import { startLoad } from "../../demo/load/load.ts";
import { now } from "../../demo/load/request.ts";
import type { CpuGroup } from "../../src/system/cgroup.ts";
import type { MachinesLab } from "../../test/fixtures/machines/lab.ts";
import { separateNamespaces } from "../../test/fixtures/namespaces.ts";
import { addresses } from "../../test/fixtures/routed/lab.ts";
import { compiled, Native } from "../../test/fixtures/traffic/native.ts";
import { recordsBytes, roundTripsOf } from "../../test/fixtures/traffic/records.ts";
import { join, pinned } from "./contender.ts";

/** Also of the daemon's side of a board, and of the bench itself. */
export const askingCore = 1;
const port = 47_017;
const everyUs = 1000;
const mostInWindow = 10_000;
const warmUpMs = 5000;
/** A machine under emulation takes some milliseconds of the core for each answer. */
const requestEveryMs = 50;
const requestTimeoutMs = 10_000;

export interface Asked {
  /** Milliseconds of each answer. */
  readonly times: readonly number[];
  readonly sent: number;
}

/** Asks for one window. */
export type Ask = (windowMs: number) => Promise<Asked>;

/** 1,000 datagrams a second to a program in that group; both are in a network of their own, where no port is taken. */
export async function askProgram(
  stack: AsyncDisposableStack,
  core: number,
  serving: CpuGroup,
  signal: AbortSignal,
): Promise<Ask> {
  const echo = await compiled("datagram-echo");
  const { device: network } = stack.use(await separateNamespaces("asking"));
  const words = network.enter(echo, ["a", String(mostInWindow), "0", "127.0.0.1", String(port)]);
  await join(serving, pinned(stack, core, words.flat()));
  return async (windowMs) => {
    await using sender = await Native.start(
      "datagram-sender",
      ["127.0.0.1", port, "-", everyUs * 1e6, mostInWindow, 0, 1],
      { core: askingCore, network },
    );
    await sender.ask(`warm ${warmUpMs}`, undefined, 2 * warmUpMs);
    await sender.ask("start");
    await sleep(windowMs, undefined, { signal });
    const answer = await sender.ask("stop", recordsBytes, 2 * warmUpMs);
    return { times: roundTripsOf(answer), sent: answer.values[1] ?? 0 };
  };
}

/** Requests on connections of their own to the web server of board a, from the outside. */
export function askMachine(stack: AsyncDisposableStack, lab: MachinesLab, signal: AbortSignal): Ask {
  const url = `http://${addresses.ipv4.service}/`;
  const load = stack.use(
    startLoad(
      [{ kind: "quick", url, intervalMs: requestEveryMs, timeoutMs: requestTimeoutMs }],
      (command, args) =>
        lab.namespaces.outside.enter("taskset", ["-c", String(askingCore), command, ...args]),
    ),
  );
  return async (windowMs) => {
    const from = now();
    const to = from + windowMs;
    await sleep(windowMs, undefined, { signal });
    await load.settled(to, signal);
    const asked = load.records.filter(({ scheduledAt }) => scheduledAt >= from && scheduledAt < to);
    const times = asked
      .filter(({ outcome }) => outcome === "ok")
      .map(({ scheduledAt, endedAt }) => endedAt - scheduledAt);
    return { times, sent: asked.length };
  };
}
