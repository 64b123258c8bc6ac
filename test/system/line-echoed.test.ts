/** Traffic over a line that is given back byte by byte: what does not come back, or comes twice, is counted. */
import assert from "node:assert/strict";
import { constants, openSync } from "node:fs";
import { type FileHandle, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ReadStream, WriteStream } from "node:tty";
import { EchoedLine, type EchoedResult } from "../fixtures/line/echoed.ts";
import { PtyLine } from "../fixtures/pty-line.ts";

const limitMs = 60_000;
const bytesPerSecond = 20_000;

/** What an echo at the near end gives back of a piece, counted from 1 behind the warm-up. */
type Echo = (bytes: Buffer, piece: number, ends: { readonly far: FileHandle }) => Buffer;

/** Begins traffic, and ends it when so many pieces have been echoed. Errors: why it was broken before. */
async function echoed(pieces: number, echo: Echo): Promise<EchoedResult> {
  const directory = await mkdtemp(join(tmpdir(), "echoed-"));
  try {
    await using line = await PtyLine.make(directory);
    await using far = await line.far();
    using traffic = new EchoedLine(far, bytesPerSecond);
    const near = openSync(line.path, constants.O_RDWR | constants.O_NOCTTY);
    const input = new ReadStream(near);
    const output = new WriteStream(openSync(line.path, constants.O_RDWR | constants.O_NOCTTY));
    const enough = Promise.withResolvers<void>();
    let count = -1;
    input.on("data", (bytes: Buffer) => {
      if (count >= 0) count += 1;
      output.write(count < 1 ? bytes : echo(bytes, count, { far }));
      if (count >= pieces) enough.resolve();
    });
    try {
      await traffic.start();
      count = 0;
      traffic.broken.addEventListener("abort", () => enough.resolve(), { once: true });
      await enough.promise;
      return await traffic.stop();
    } finally {
      input.destroy();
      output.destroy();
    }
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("what is given back as it came is whole", { timeout: limitMs }, async () => {
  const { sent, arrivals, ...counts } = await echoed(50, (bytes) => bytes);
  assert.ok(sent > 0 && arrivals.length > 0);
  assert.deepEqual([counts.missing, counts.doubled, counts.reordered], [0, 0, 0]);
});

test("bytes that are swallowed are missing, and those that are said twice are doubled", {
  timeout: limitMs,
}, async () => {
  let swallowed = 0;
  let repeated = 0;
  const { missing, doubled } = await echoed(60, (bytes, piece) => {
    // A byte in the middle of a word, and the end of a piece.
    if (piece === 10 || piece === 20) {
      swallowed += 1;
      return bytes.subarray(0, -1);
    }
    if (piece !== 40) return bytes;
    repeated = bytes.length;
    return Buffer.concat([bytes, bytes]);
  });
  assert.equal(missing, swallowed);
  assert.equal(doubled, repeated);
});

test("traffic that cannot go on says so at once, and at its end", { timeout: limitMs }, async () => {
  let pieces = 0;
  const broken = echoed(50, (bytes, piece, { far }) => {
    pieces = piece;
    if (piece === 10) void far.close();
    return bytes;
  });
  await assert.rejects(broken, /closed|EBADF/);
  assert.ok(pieces >= 10 && pieces < 50, `${pieces} pieces`);
});
