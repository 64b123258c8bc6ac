import assert from "node:assert/strict";
import { appendFile, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { NotifyRecord } from "./notify-record.ts";

/** As socat writes a datagram. */
function dumped(text: string): string {
  const hex = [...Buffer.from(text)].map((byte) => ` ${byte.toString(16).padStart(2, "0")}`).join("");
  return `> 2026/11/26 02:37:59.000400662  length=${Buffer.from(text).length} from=0 to=9\n${hex}\n`;
}

async function withRecord(body: (record: NotifyRecord, path: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-notify-"));
  try {
    const path = join(directory, "notify");
    await body(new NotifyRecord(path), path);
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("datagrams are messages, however they are cut", async () => {
  await withRecord(async (record, path) => {
    assert.deepEqual(await record.read(), []);
    const text = dumped("READY=1\nX_TWINBOARD_VERSION=1.2") + dumped("WATCHDOG=1\n") + dumped("STOPPING=1");
    await appendFile(path, text.slice(0, 70));
    const messages = await record.read();
    await appendFile(path, text.slice(70));
    messages.push(...(await record.read()));
    assert.deepEqual(messages, [
      { ready: "1.2", answers: [] },
      { watchdog: true, answers: [] },
      { stopping: true, answers: [] },
    ]);
    assert.deepEqual(await record.read(), []);
  });
});

test("what is no datagram, or too long for one, is left out, and what follows is not", async () => {
  await withRecord(async (record, path) => {
    await appendFile(path, "2026/11/26 socat[1] E something\n 52 zz\n");
    await appendFile(path, `${dumped("x".repeat(20_000))}${dumped("STATUS=up")}`);
    const statuses = (await record.read()).map(({ status }) => status);
    assert.equal(statuses.at(-1), "up");
  });
});

test("a file that has grown is emptied, and what it came to is kept for the next daemon", async () => {
  await withRecord(async (record, path) => {
    await appendFile(path, dumped("READY=1\nX_TWINBOARD_VERSION=7").repeat(4000));
    assert.equal((await record.read()).length, 4000);
    await record.trim({ version: "7" });
    assert.equal((await stat(path)).size, 0);
    await appendFile(path, dumped("STATUS=on"));
    assert.deepEqual(await record.read(), [{ status: "on", answers: [] }]);
    assert.deepEqual(await new NotifyRecord(path).kept(), { version: "7" });
    await record.clear();
    assert.deepEqual(await record.kept(), {});
  });
});
