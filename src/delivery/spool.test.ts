import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import { checkRoom, type SpoolOptions, spool } from "./spool.ts";

let directory: string;
let files = 0;

before(async () => {
  directory = await mkdtemp(`${tmpdir()}/twinboard-spool-`);
});
after(async () => rm(directory, { recursive: true, force: true }));

async function* chunks(...sizes: number[]): AsyncGenerator<Uint8Array> {
  for (const [i, size] of sizes.entries()) yield await Promise.resolve(new Uint8Array(size).fill(i + 1));
}

async function spooled(
  content: AsyncIterable<Uint8Array>,
  options: Partial<SpoolOptions> = {},
): Promise<Buffer> {
  const path = `${directory}/${files++}`;
  const signal = new AbortController().signal;
  await spool(content, path, { maxBytes: 100, onProgress: () => undefined, signal, ...options });
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  return await readFile(path);
}

test("all chunks are written, and counted", async () => {
  const seen: object[] = [];
  const content = await spooled(chunks(2, 0, 3), {
    sizeBytes: 5,
    onProgress: (progress) => seen.push(progress),
  });
  assert.deepEqual([...content], [1, 1, 3, 3, 3]);
  assert.deepEqual(seen.at(-1), { bytes: 5, totalBytes: 5 });
  assert.equal((await spooled(chunks(100))).length, 100);
});

test("too many bytes, too few, and a sender that breaks off have their own codes", async () => {
  await assert.rejects(spooled(chunks(60, 41)), { code: "bundle-too-large" });
  await assert.rejects(spooled(chunks(6), { sizeBytes: 5 }), { code: "bundle-too-large" });
  await assert.rejects(spooled(chunks(4), { sizeBytes: 5 }), { code: "bundle-truncated" });
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield* chunks(1);
    throw new Error("connection reset");
  }
  await assert.rejects(spooled(broken()), { code: "bundle-unreadable", message: /connection reset/ });
});

test("a file that is there is never written over", async () => {
  const path = `${directory}/there`;
  const options = { maxBytes: 100, onProgress: () => undefined, signal: new AbortController().signal };
  await spool(chunks(1), path, options);
  await assert.rejects(spool(chunks(2), path, options), { code: "bundle-unreadable", message: /EEXIST/ });
});

test("more than the disk has room for is refused", async () => {
  await checkRoom(directory, 1);
  await assert.rejects(checkRoom(directory, 2 ** 52), { code: "too-little-disk" });
});
