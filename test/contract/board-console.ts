/** What the contract of a board says of its console. */
import assert from "node:assert/strict";
import { orAborted } from "../../src/system/abort.ts";
import { type OnBoard, rejects } from "./board-subject.ts";

export function consoleContract(on: OnBoard): void {
  on(
    "the console of a board that runs: both ways, for one at a time, and nobody's when it sleeps",
    async ({ board, software }, signal) => {
      await rejects(board.attachConsole(signal), "board-not-running");
      await board.start(software(), signal);
      await board.ready(signal);
      const leave = new AbortController();
      const first = await board.attachConsole(AbortSignal.any([signal, leave.signal]));
      await rejects(board.attachConsole(signal), "console-in-use");
      await first.write(Buffer.from("echo first-$((40 + 2))\n"));
      await heard(first.output, /first/);
      leave.abort();
      await assert.rejects(first.write(Buffer.from("x")));

      const slow = await board.attachConsole(signal);
      for (let count = 0; count < 3; count += 1) await slow.write(Buffer.from(`echo unread-${count}\n`));
      await board.pause(signal);
      for await (const _ of slow.output);
      await rejects(slow.write(Buffer.from("x")), "board-not-running");
      await rejects(board.attachConsole(signal), "board-not-running");
      await board.resume(signal);
      const again = await board.attachConsole(signal);
      await board.stop(signal);
      for await (const _ of again.output);
      await rejects(board.attachConsole(signal), "board-not-running");
    },
  );

  on("its console is followed from one run to the next", async ({ board, software }, signal) => {
    const enough = new AbortController();
    const lines: string[] = [];
    const waiting = new Set<() => void>();
    const following = (async () => {
      for await (const line of board.followConsole(10, enough.signal)) {
        lines.push(line);
        for (const wake of waiting) wake();
      }
    })();
    const said = async (text: string): Promise<void> => {
      const found = Promise.withResolvers<void>();
      const look = (): void => {
        if (lines.some((line) => line.includes(text))) found.resolve();
      };
      waiting.add(look);
      look();
      await orAborted(found.promise, signal);
    };
    for (const version of ["3.1", "3.2"]) {
      await board.start(software({ reports: version }), signal);
      await said(version);
      await board.stop(signal);
    }
    assert.ok((await board.consoleTail(50)).every((line) => !line.includes("3.1")));
    enough.abort();
    await following;
  });
}

/** Reads until the pattern is found. */
async function heard(output: AsyncIterable<Uint8Array>, wanted: RegExp): Promise<void> {
  let text = "";
  for await (const bytes of output) {
    text += Buffer.from(bytes).toString();
    if (wanted.test(text)) return;
  }
  assert.fail(`${wanted.source} was not heard, but ${text}`);
}
