import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { GuestMessageReader } from "./guest-message.ts";

const read = (text: string) => new GuestMessageReader().push(Buffer.from(text));

test("READY carries the version, and without one it is empty", () => {
  assert.deepEqual(read("READY=1\nX_TWINBOARD_VERSION=1.2.3\n\nREADY=1\n\n"), [
    { ready: "1.2.3", answers: [] },
    { ready: "", answers: [] },
  ]);
});

test("a message may say several things, and waits for its empty line", () => {
  const reader = new GuestMessageReader();
  assert.deepEqual(reader.push(Buffer.from("STATUS=half way = fine\nWATCHDOG=1\nSTOPPI")), []);
  assert.deepEqual(reader.push(Buffer.from("NG=1\nX_TWINBOARD_HOOK=7 0\nX_TWINBOARD_CLOCK=8 1\n\n")), [
    {
      status: "half way = fine",
      watchdog: true,
      stopping: true,
      answers: [
        { to: "hook", id: "7", outcome: "0" },
        { to: "clock", id: "8", outcome: "1" },
      ],
    },
  ]);
});

test("what is too long or unknown is left out, and READY=0 is not READY", () => {
  assert.deepEqual(read(`STATUS=${"x".repeat(2000)}\nNONSENSE\nREADY=0\n\n`), [{ answers: [] }]);
  assert.equal(read(`STATUS=${"x".repeat(900)}\n\n`)[0]?.status?.length, 256);
});

test("no bytes of a board upset the reader", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), (chunks) => {
      const reader = new GuestMessageReader();
      for (const chunk of chunks) reader.push(Buffer.from(chunk));
      assert.deepEqual(reader.push(Buffer.from("\n\nWATCHDOG=1\n\n")).at(-1), {
        watchdog: true,
        answers: [],
      });
    }),
  );
});
