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
    await file.write("one\r\n\u001b[1;31mtwo\u001b[0m\u009b2J\u007f\r\n\r\nthree\0 and no end");
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

/** What a reader has got until the pattern is found. */
async function heard(parts: AsyncIterable<Buffer>, wanted: RegExp): Promise<string> {
  let text = "";
  for await (const part of parts) {
    text += part.toString();
    if (wanted.test(text)) return text;
  }
  return text;
}

test("who follows it gets every byte from then on, across a cut; who is slow is told how much he missed", async () => {
  await inDirectory(async (log) => {
    const file = await log.begin();
    await file.write("before\n");
    using enough = abortable();
    const quick = await log.follow(enough.signal);
    const slow = await log.follow(enough.signal);
    let written = "";
    const reading = heard(quick, /the end/);
    for (let i = 0; i < 12_000; i += 1) {
      const line = `line ${i} ${"x".repeat(60)}\n`;
      written += line;
      await file.write(line);
      // So that the quick one keeps up with a writer that knows no pause.
      if (i % 100 === 0) await log.tail(0);
      if (i === 9000) await log.trim();
    }
    await file.write("the end");
    assert.equal(await reading, `${written}the end`);
    const late = await heard(slow, /the end/);
    const left = Number(/^\r\n\[twinboard: (\d+) bytes are left out\]\r\n/.exec(late)?.[1]);
    assert.equal(late.replace(/^.*\r\n.*\r\n/, ""), `${written}the end`.slice(left));
    await file.close();
  });
});

test("its lines are followed from the last ones on, whole, into the next run, and before there was a first", async () => {
  await inDirectory(async (log) => {
    using enough = abortable();
    const early = log.followLines(5, enough.signal);
    const first = early.next();
    const file = await log.begin();
    await file.write("one\r\ntwo\nthr");
    assert.equal((await first).value, "one");
    assert.equal((await early.next()).value, "two");
    const late = log.followLines(1, enough.signal);
    assert.equal((await late.next()).value, "two");
    await file.write("ee\n");
    for (const lines of [early, late]) assert.equal((await lines.next()).value, "three");
    await file.close();
    const next = await log.begin();
    await next.write(`${"y".repeat(5000)}\n\u001b[1msecond\u001b[0m\r\n`);
    for (const lines of [early, late]) {
      assert.equal((await lines.next()).value, "[a line of more than 4096 bytes is left out]");
      assert.equal((await lines.next()).value, "second");
    }
    await next.close();
  });
});

function abortable(): AbortController & Disposable {
  const controller = new AbortController();
  return Object.assign(controller, { [Symbol.dispose]: () => controller.abort() });
}
