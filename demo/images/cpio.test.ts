import assert from "node:assert/strict";
import { test } from "node:test";
import { consoleMode, cpioArchive, directoryMode, programMode } from "./cpio.ts";

/** Reads the archive back, by the kernel's description of the format. */
function entries(archive: Buffer): { path: string; mode: number; content: string; device: number[] }[] {
  const found = [];
  for (let at = 0; at < archive.length; ) {
    assert.equal(archive.toString("latin1", at, at + 6), "070701");
    const field = (index: number): number =>
      Number.parseInt(archive.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    const nameEnd = at + 110 + field(11);
    const path = archive.toString("utf8", at + 110, nameEnd - 1);
    const start = nameEnd + (-nameEnd & 3);
    const content = archive.toString("utf8", start, start + field(6));
    found.push({ path, mode: field(1), content, device: [field(9), field(10)] });
    at = start + field(6);
    at += -at & 3;
  }
  return found;
}

test("what is packed is read back, whatever its length, up to the trailer", () => {
  const archive = cpioArchive([
    { path: "dev", mode: directoryMode },
    { path: "dev/console", mode: consoleMode, device: [5, 1] },
    ...[0, 1, 2, 3, 4, 5].map((length) => ({
      path: `init${"x".repeat(length)}`,
      mode: programMode,
      content: Buffer.from("y".repeat(length)),
    })),
  ]);
  const read = entries(archive);
  assert.deepEqual(read[0], { path: "dev", mode: directoryMode, content: "", device: [0, 0] });
  assert.deepEqual(read[1], { path: "dev/console", mode: consoleMode, content: "", device: [5, 1] });
  assert.deepEqual(
    read.slice(2, -1).map(({ path, content }) => path.length - 4 - content.length),
    [0, 0, 0, 0, 0, 0],
  );
  assert.equal(read.at(-1)?.path, "TRAILER!!!");
});
