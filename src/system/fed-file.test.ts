import assert from "node:assert/strict";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { feedFile } from "./fed-file.ts";
import { run } from "./process.ts";

const never = new AbortController().signal;

async function* of(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  yield* chunks;
}

test("what it is given is in the file, piece after piece", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "fed-file-"));
  t.after(async () => await rm(directory, { recursive: true }));
  const path = join(directory, "file");
  const chunks = [Buffer.alloc(5_000_000, "a"), Buffer.from("b"), Buffer.alloc(100_000, "c")];
  const sizes: number[] = [];
  await using file = await open(path, "wx");
  await feedFile(file, of(...chunks), (bytes) => sizes.push(bytes), never);
  assert.deepEqual(sizes, [5_000_000, 1, 100_000]);
  assert.ok(Buffer.concat(chunks).equals(await readFile(path)));
});

test("a disk that is full is told in the program's words", async () => {
  await using full = await open("/dev/full", "w");
  await assert.rejects(
    feedFile(full, of(Buffer.alloc(9_000_000)), () => undefined, never),
    { code: "command-failed", detail: /^dd: / },
  );
});

test("what goes wrong with the pieces themselves is the error, and nothing runs on", async () => {
  await using file = await open("/dev/null", "w");
  const wrong = new Error("wrong");
  async function* broken(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* of(Buffer.alloc(100));
    throw wrong;
  }
  await assert.rejects(
    feedFile(file, broken(), () => undefined, never),
    wrong,
  );
});

test("a disk that takes nothing more keeps nobody who gives up", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "fed-file-"));
  t.after(async () => await rm(directory, { recursive: true }));
  const path = join(directory, "full");
  await run("mkfifo", [path]);
  // Nobody reads: it takes 64 KiB (pipe(7)).
  await using full = await open(path, "r+");
  const given = new AbortController();
  const feeding = feedFile(
    full,
    of(Buffer.alloc(9_000_000), Buffer.alloc(9_000_000)),
    () => undefined,
    given.signal,
  );
  setTimeout(() => given.abort(new Error("cancelled")), 200);
  await assert.rejects(feeding, { message: "cancelled" });
});
