/** The kit and the console in an image with a whole userland, the demo's: what only init, the kit and a shell together can show. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { test } from "node:test";
import { buildImages } from "../../demo/images/build.ts";
import type { BoardConsole } from "../../src/board/board.ts";
import { orAborted } from "../../src/system/abort.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { makeQemuSubject } from "../fixtures/board/qemu-subject.ts";

const skip = await whyNoMachines();
const cacheDirectory = resolve(import.meta.dirname, "../../.cache");
/** The kit has this long for each of its signs of life, twice over: generous for an emulated board on a busy host. */
const watchdogMs = 10_000;
const limitMs = 150_000;

/** Somebody at the console. */
class Typist {
  readonly #console: BoardConsole;
  readonly #output: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal;
  #said = "";

  constructor(console: BoardConsole, signal: AbortSignal) {
    this.#signal = signal;
    this.#console = console;
    this.#output = console.output[Symbol.asyncIterator]();
  }

  async type(text: string): Promise<void> {
    await this.#console.write(Buffer.from(text));
  }

  /** Reads on until the pattern is found; what came before its end is not looked at again. */
  async heard(wanted: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = wanted.exec(this.#said);
      if (found !== null) {
        this.#said = this.#said.slice(found.index + found[0].length);
        return found;
      }
      const { value, done } = await orAborted(this.#output.next(), this.#signal).catch((cause: unknown) => {
        throw new Error(`${wanted.source} was not heard, but ${JSON.stringify(this.#said)}`, { cause });
      });
      assert.ok(done !== true, `the console ended without ${wanted.source}: ${this.#said}`);
      this.#said += Buffer.from(value).toString();
    }
  }
}

void test("the demo's image: a shell after Enter; the kit says that the board lives, and a board whose programs stand still hangs", {
  skip,
  timeout: 170_000,
}, async (t) => {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  const [image] = await buildImages({
    versions: [{ version: "1.0.0" }],
    cacheDirectory,
    log: (line) => process.stderr.write(`${line}\n`),
  });
  assert.ok(image !== undefined);
  await using subject = await makeQemuSubject({ watchdogMs, memoryBytes: 192 * 1024 * 1024 });
  const { board } = subject;
  const hung = Promise.withResolvers<string>();
  board.subscribe((event) => {
    if (event.type === "hung") hung.resolve(event.detail);
  });
  const { version, images, kernelArguments } = image;
  // A board boots in the background, which on a busy host is for ever; this test is about something else.
  const hurry = setInterval(() => void board.setPriority("service").catch(() => undefined), 100);
  t.after(() => clearInterval(hurry));
  await board.start({ instance: randomUUID(), version, images, kernelArguments }, signal);
  await board.ready(signal);
  clearInterval(hurry);

  const typist = new Typist(await board.attachConsole(signal), signal);
  await typist.type("\n");
  await typist.heard(/# /);
  await typist.type("echo kernel=$(uname -r) board=$(hostname)\n");
  const [, board1] = await typist.heard(/kernel=\d\S+ board=(\S+)\r\n/);
  assert.equal(board1, "board-a");
  // Ctrl-C reaches the program that runs there.
  await typist.type("sh -c 'echo work=$((6 * 7)); exec sleep 1000'\n");
  await typist.heard(/work=42\r\n/);
  await typist.type("\u0003");
  await typist.heard(/# /);

  // The kernel runs on, and answers pings; the board's programs do not.
  await typist.type("kill -STOP $(pidof twinboard-kit); echo stopped=$?\n");
  await typist.heard(/stopped=0/);
  assert.equal(await orAborted(hung.promise, signal), "it has not said that it lives for 10 s");
  assert.equal((await board.inspect()).state, "running");
  await board.stop(signal);
});
