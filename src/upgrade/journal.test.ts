import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { TwinboardError } from "../errors.ts";
import { decodeStory, encodeRecord, openJournal } from "./journal.ts";
import { type JournalRecord, phaseNames, recordEvents } from "./record.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "journal-"));
});
after(() => rm(directory, { recursive: true, force: true }));

const fresh = (): Promise<string> => mkdtemp(join(directory, "j-"));

const entry = (
  story = "000001-upgrade",
  data: Record<string, unknown> = {},
): Omit<JournalRecord, "v" | "seq"> => ({
  boot: "boot-1",
  story,
  kind: "upgrade",
  phase: "boot",
  event: "noted",
  at: 1,
  data,
});

const records = fc
  .array(
    fc.record({
      boot: fc.uuid(),
      phase: fc.constantFrom(null, ...phaseNames),
      event: fc.constantFrom(...recordEvents),
      at: fc.nat(),
      data: fc.dictionary(fc.string(), fc.jsonValue()),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((list): JournalRecord[] =>
    list.map((record, index) => {
      const data = JSON.parse(JSON.stringify(record.data)) as Record<string, unknown>;
      return { v: 1, seq: index + 1, story: "000001-upgrade", kind: "upgrade", ...record, data };
    }),
  );

function encodeAll(list: readonly JournalRecord[]): Buffer {
  let sum = "";
  const lines = list.map((record) => {
    const encoded = encodeRecord(record, sum);
    sum = encoded.sum;
    return encoded.line;
  });
  return Buffer.from(lines.join(""));
}

test("what is written is read", () => {
  fc.assert(
    fc.property(records, (list) => {
      assert.deepEqual(decodeStory(encodeAll(list), "f").records, list);
    }),
  );
});

test("a journal cut at any byte keeps every whole line and drops only the incomplete last one", () => {
  fc.assert(
    fc.property(records, fc.nat(), (list, at) => {
      const whole = encodeAll(list);
      const cut = whole.subarray(0, at % (whole.length + 1));
      const read = decodeStory(cut, "f");
      assert.equal(read.wholeBytes, cut.lastIndexOf(0x0a) + 1);
      assert.deepEqual(read.records, list.slice(0, read.records.length));
      assert.equal(read.records.length, cut.toString().split("\n").length - 1);
    }),
  );
});

test("a changed byte in a whole line is damage, named with its line", () => {
  fc.assert(
    fc.property(records, fc.nat(), fc.integer({ min: 1, max: 255 }), (list, position, change) => {
      const bytes = encodeAll(list);
      const at = position % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ change;
      // A newline that is lost at the very end leaves an incomplete last line, which may be dropped.
      if (at === bytes.length - 1) assert.equal(decodeStory(bytes, "f").records.length, list.length - 1);
      else
        assert.throws(() => decodeStory(bytes, "f"), /^TwinboardError: the journal is damaged: f, line \d+/);
    }),
  );
});

test("a missing, doubled or swapped line is damage", () => {
  const lines = encodeAll(
    [1, 2, 3].map((seq): JournalRecord => ({ v: 1, seq, ...entry("000001-upgrade", { seq }) })),
  )
    .toString()
    .split(/(?<=\n)/);
  const [one = "", two = "", three = ""] = lines;
  for (const text of [one + three, one + two + two, two + one + three]) {
    assert.throws(() => decodeStory(Buffer.from(text), "f"), TwinboardError);
  }
});

test("sequence numbers go on over stories and restarts, and an incomplete line is cut off before the next", async () => {
  const path = await fresh();
  let journal = await openJournal(path);
  await journal.append(entry());
  await journal.append(entry("000002-upgrade"));
  await journal.close();
  const file = join(path, "000002-upgrade.jsonl");
  await writeFile(file, `${await readFile(file, "utf8")}{"v":1,"seq":3,"bo`);

  journal = await openJournal(path);
  assert.deepEqual(
    journal.records.map((record) => record.seq),
    [1, 2],
  );
  // An earlier story may go on after a later one, as an upgrade does after the restart that a reboot needed.
  await journal.append(entry());
  await journal.append(entry("000002-upgrade"));
  await journal.close();

  journal = await openJournal(path);
  assert.deepEqual(
    journal.records.map((record) => `${record.seq} ${record.story}`),
    ["1 000001-upgrade", "2 000002-upgrade", "3 000001-upgrade", "4 000002-upgrade"],
  );
  await journal.close();
});

test("listeners hear of a record after it is on the disk, and appends that are asked for together keep their order", async () => {
  const path = await fresh();
  const journal = await openJournal(path);
  const heard: number[] = [];
  journal.subscribe((record) => heard.push(record.seq));
  await Promise.all([1, 2, 3, 4].map((n) => journal.append(entry("000001-upgrade", { n }))));
  assert.deepEqual(heard, [1, 2, 3, 4]);
  assert.deepEqual(
    journal.records.map((record) => record.data["n"]),
    [1, 2, 3, 4],
  );
  await journal.close();
});

test("old stories are forgotten within the bound", async () => {
  const path = await fresh();
  const journal = await openJournal(path);
  for (let n = 1; n <= 103; n += 1) await journal.append(entry(`${String(n).padStart(6, "0")}-upgrade`));
  await journal.close();
  const files = (await readdir(path)).toSorted();
  assert.equal(files.length, 100);
  assert.equal(files[0], "000004-upgrade.jsonl");
  assert.equal(journal.records.length, 100);
});

test("nothing is known any more of a story that is forgotten: a file of its name begins anew", async () => {
  const path = await fresh();
  const journal = await openJournal(path);
  for (let n = 1; n <= 101; n += 1) await journal.append(entry(`${String(n).padStart(6, "0")}-upgrade`));
  // Room for it: as the oldest of too many it would be forgotten again at once.
  await rm(join(path, "000050-upgrade.jsonl"));
  await journal.append(entry("000001-upgrade"));
  await journal.close();
  const again = await openJournal(path);
  assert.equal(again.records.at(-1)?.story, "000001-upgrade");
  await again.close();
});
