import assert from "node:assert/strict";
import { test } from "node:test";
import { Balloon, type Command } from "./balloon.ts";

const mebi = 1024 * 1024;
const whole = 128 * mebi;

/** What a machine with a balloon answers; its guest gives what it is asked for, and tells of itself when it is asked to. */
class Machine {
  actual = whole;
  /** By its own account; `undefined`: its kernel has no driver. */
  available: number | undefined = 60 * mebi;
  intervalSeconds = 0;
  onStats = (): void => undefined;
  #updates = 0;

  readonly command: Command = (command, args, signal) => {
    signal.throwIfAborted();
    if (command === "query-balloon") return Promise.resolve({ actual: this.actual });
    if (command === "balloon") this.actual = Math.min(whole, Number(args?.["value"]));
    if (command === "qom-set") this.intervalSeconds = Number(args?.["value"]);
    if (command !== "qom-get") return Promise.resolve({});
    this.onStats();
    if (this.available === undefined) return Promise.resolve({ "last-update": 0, stats: {} });
    if (this.intervalSeconds > 0) this.#updates += 1;
    return Promise.resolve({
      "last-update": this.#updates,
      stats: { "stat-available-memory": this.available },
    });
  };
}

test("it takes what the guest can spare but a rest, and gives all of it back; both may be repeated", async ({
  signal,
}) => {
  const machine = new Machine();
  const balloon = new Balloon(machine.command);
  await balloon.inflate(signal);
  assert.deepEqual([machine.actual, machine.intervalSeconds], [whole - 44 * mebi, 0]);
  machine.available = 16 * mebi;
  await balloon.inflate(signal);
  assert.equal(machine.actual, whole - 44 * mebi, "the rest is left to it");
  for (const _ of [1, 2]) await balloon.deflate(signal);
  assert.equal(machine.actual, whole);
});

test("given up in the middle, it no longer has the guest asked for what it can spare", async () => {
  const machine = new Machine();
  const abort = new AbortController();
  machine.onStats = () => {
    if (machine.intervalSeconds > 0) abort.abort();
  };
  await assert.rejects(new Balloon(machine.command).inflate(abort.signal), { name: "AbortError" });
  assert.deepEqual([machine.actual, machine.intervalSeconds], [whole, 0]);
});

test("what a daemon that was killed left is undone", async ({ signal }) => {
  const machine = new Machine();
  machine.actual = 40 * mebi;
  machine.intervalSeconds = 1;
  for (const _ of [1, 2]) await new Balloon(machine.command).restore(signal);
  assert.deepEqual([machine.actual, machine.intervalSeconds], [whole, 0]);
});
