/**
 * The guest's balloon: how much of its memory a machine that goes to sleep gives back to the host, and has again when it wakes (virtio
 * specification, "Traditional Memory Balloon Device"; QMP `balloon`, `query-balloon`; QEMU's docs/interop/virtio-balloon-stats).
 */
import { setTimeout as sleep } from "node:timers/promises";

export type Command = (
  command: string,
  args: Readonly<Record<string, unknown>> | undefined,
  signal: AbortSignal,
) => Promise<unknown>;

/** As the command line names the device. */
export const balloonId = "balloon";

const path = `/machine/peripheral/${balloonId}`;
const interval = "guest-stats-polling-interval";
/** What the guest keeps of what it could spare: it wakes without having to ask for memory at once. */
const spareBytes = 16 * 1024 * 1024;
/** A guest that is slow, or whose kernel has no driver, keeps what it has: it is not waited for longer. */
const limitMs = 5000;
const lookMs = 50;
/** No progress for so long, and it is as large as it gets. */
const stillMs = 500;
/** QEMU tells of a change once a second at most (QMP `BALLOON_CHANGE`); its timer, and the one after it, would cost a machine that sleeps. */
const eventsMs = 2100;
const resetTimeoutMs = 2000;
/** QEMU takes more than a machine has for all that it has, also if the configuration gives it another size by now. */
const allBytes = Number.MAX_SAFE_INTEGER;

export class Balloon {
  readonly #command: Command;

  constructor(command: Command) {
    this.#command = command;
  }

  /** Takes from the guest what it says it can do without, within seconds. Repeatable. Errors: those of the command; the signal's reason. */
  async inflate(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + limitMs;
    const whole = await this.#actual(signal);
    const available = await this.#available(deadline, signal);
    if (available === undefined || available <= spareBytes) return;
    const goal = whole - (available - spareBytes);
    await this.#command("balloon", { value: goal }, signal);
    let [least, movedAt] = [whole, performance.now()];
    while (least > goal && performance.now() < Math.min(deadline, movedAt + stillMs)) {
      await sleep(lookMs, undefined, { signal });
      const actual = await this.#actual(signal);
      if (actual < least) [least, movedAt] = [actual, performance.now()];
    }
    await sleep(eventsMs, undefined, { signal });
  }

  /** Lets the guest have all of its memory again, which it takes in its own time. Repeatable. Errors: as `inflate`. */
  async deflate(signal: AbortSignal): Promise<void> {
    await this.#command("balloon", { value: allBytes }, signal);
  }

  /** Of a machine that runs: undoes what an `inflate` left that did not come to its end. Repeatable. Errors: as `inflate`. */
  async restore(signal: AbortSignal): Promise<void> {
    await this.#ask(0, signal);
    await this.deflate(signal);
  }

  async #actual(signal: AbortSignal): Promise<number> {
    const { actual } = (await this.#command("query-balloon", undefined, signal)) as { actual?: unknown };
    return typeof actual === "number" ? actual : 0;
  }

  /** By the guest's own account; `undefined` if it gives none in time. */
  async #available(deadline: number, signal: AbortSignal): Promise<number | undefined> {
    const began = await this.#updated(signal);
    try {
      await this.#ask(1, signal);
      while (performance.now() < deadline) {
        await sleep(lookMs, undefined, { signal });
        const { at, available } = await this.#stats(signal);
        if (at !== began) return available;
      }
      return undefined;
    } finally {
      // Also when nobody waits any more: asking goes on each second otherwise.
      await this.#ask(0, AbortSignal.timeout(resetTimeoutMs));
    }
  }

  /** How often QEMU asks the guest, in seconds; 0: never. */
  async #ask(intervalSeconds: number, signal: AbortSignal): Promise<void> {
    await this.#command("qom-set", { path, property: interval, value: intervalSeconds }, signal);
  }

  async #updated(signal: AbortSignal): Promise<number> {
    return (await this.#stats(signal)).at;
  }

  async #stats(
    signal: AbortSignal,
  ): Promise<{ readonly at: number; readonly available: number | undefined }> {
    const found = (await this.#command("qom-get", { path, property: "guest-stats" }, signal)) as {
      readonly "last-update"?: unknown;
      readonly stats?: Readonly<Record<string, unknown>>;
    };
    const available = found.stats?.["stat-available-memory"];
    return {
      at: Number(found["last-update"] ?? 0),
      // What a guest does not tell is a number that no memory has.
      available: typeof available === "number" && available < Number.MAX_SAFE_INTEGER ? available : undefined,
    };
  }
}
