import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ConsoleLog } from "./console.ts";

async function inDirectory(body: (log: ConsoleLog) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-console-"));
  try {
    await body(new ConsoleLog(join(directory, "console")));
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("the tail is the last lines, without what only a terminal understands", async () => {
  await inDirectory(async (log) => {
    assert.deepEqual(await log.tail(5), []);
    const file = await log.begin();
    assert.deepEqual(await log.tail(5), []);
    await file.write("one\r\n\u001b[1;31mtwo\u001b[0m\r\n\r\nthree\0 and no end");
    assert.deepEqual(await log.tail(9), ["one", "two", "", "three and no end"]);
    assert.deepEqual(await log.tail(1), ["three and no end"]);
    assert.deepEqual(await log.tail(0), []);
    await file.close();
  });
});

test("a file that has grown is cut while it is written to, and its last lines stay", async () => {
  await inDirectory(async (log) => {
    const file = await log.begin();
    for (let i = 0; i < 20_000; i++) await file.write(`line ${i} ${"x".repeat(60)}\n`);
    const before = await log.tail(3);
    await log.trim();
    assert.equal((await stat(log.path)).size, 0);
    assert.deepEqual(await log.tail(3), before);
    await file.write("the last\n");
    assert.equal((await stat(log.path)).size, 9, "what is written next is not preceded by a hole");
    assert.deepEqual((await log.tail(2)).at(-1), "the last");
    assert.match((await log.tail(2))[0] ?? "", /^line 19999 /);
    await log.trim();
    assert.deepEqual(await log.tail(1), ["the last"]);
    await file.close();
  });
});

test("the next run begins with an empty console", async () => {
  await inDirectory(async (log) => {
    const first = await log.begin();
    await first.write("of the first run\n".repeat(60_000));
    await log.trim();
    await first.close();
    await (await log.begin()).close();
    assert.deepEqual(await log.tail(5), []);
  });
});
