/** Takeovers to and fro under the traffic of a bench, timed by the daemon and, where it has such a trace, by the kernel. */
import { setTimeout as sleep } from "node:timers/promises";
import type { BoardName } from "../../src/board/board.ts";
import type { DaemonService } from "../../test/fixtures/daemon-service.ts";
import type { Namespace } from "../../test/fixtures/namespaces.ts";
import type { TakeoverOrder, TimedTakeover } from "../../test/fixtures/traffic/takeovers.ts";
import type { BenchRun } from "../bench.ts";
import { KernelTime, type Transaction } from "./kernel-time.ts";

export interface TakeoversDone {
  readonly done: readonly TimedTakeover[];
  /** Of each takeover; `null`: not measured. */
  readonly kernelMs: readonly number[] | null;
}

/** So much of the time between two takeovers passes before a board is made like a fresh one: behind the quiet window. */
const restPart = 0.75;

export async function takeOver(
  daemon: DaemonService,
  device: Namespace,
  {
    freshen,
    ...order
  }: TakeoverOrder & {
    /** Makes a board that does not hold like one that never did, before it takes over. */
    readonly freshen?: (standby: BoardName) => Promise<void>;
  },
  { signal, say }: Pick<BenchRun, "signal" | "say">,
): Promise<TakeoversDone> {
  await using kernel = await KernelTime.watch(device, say);
  const done: TimedTakeover[] = [];
  let toldMs = performance.now();
  while (done.length < order.count) {
    if (freshen === undefined) {
      const count = Math.min(order.count - done.length, Math.ceil(5000 / order.everyMs));
      done.push(...(await daemon.takeovers({ ...order, count }, signal)));
    } else {
      const { holder } = await daemon.inspect();
      await freshen(holder === "a" ? "b" : "a");
      await sleep(order.everyMs * (1 - restPart), undefined, { signal });
      done.push(
        ...(await daemon.takeovers({ ...order, count: 1, everyMs: order.everyMs * restPart }, signal)),
      );
    }
    if (performance.now() - toldMs < 5000) continue;
    toldMs = performance.now();
    say(`${done.length} of ${order.count} takeovers`);
  }
  return { done, kernelMs: kernel === undefined ? null : kernelTimes(done, await kernel.stop()) };
}

/** Of each takeover, the time of the transaction that lies in it. Errors: there is not one. */
function kernelTimes(done: readonly TimedTakeover[], transactions: readonly Transaction[]): number[] {
  return done.map(({ beganMs, endedMs }) => {
    const inside = transactions.filter((one) => one.beganMs >= beganMs && one.beganMs <= endedMs);
    const [only] = inside;
    if (only === undefined || inside.length > 1)
      throw new Error(`the kernel saw ${inside.length} transactions in one takeover`);
    return only.ms;
  });
}
