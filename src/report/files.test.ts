/** Reports on the disk: both files, the bound, a disk that takes none, and what an earlier daemon did not come to. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { JournalRecord } from "../upgrade/record.ts";
import { type Report, reportOf } from "../upgrade/report.ts";
import { ReportFiles } from "./files.ts";
import { leaveReports, type ReportedSystem } from "./leave.ts";

const idOf = (number: number): string => `${String(number).padStart(6, "0")}-upgrade`;

function recordsOf(number: number): JournalRecord[] {
  const record = {
    v: 1,
    boot: "boot",
    story: idOf(number),
    kind: "upgrade",
    phase: null,
    at: 0,
    data: {},
  } as const;
  return [
    { ...record, seq: 2 * number, event: "story-began" },
    { ...record, seq: 2 * number + 1, event: "story-ended" },
  ];
}

const report = (number: number): Report => reportOf("system", recordsOf(number));

async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-reports-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, "reports");
}

/** A system whose journal has these stories, and no more to come. */
function systemOf(numbers: readonly number[]): ReportedSystem {
  return {
    report: (id) => report(Number.parseInt(id, 10)),
    async *events() {
      for (const record of numbers.flatMap(recordsOf)) yield await Promise.resolve({ record });
    },
  };
}

test("a report is two files; what is read is what was kept", async (t) => {
  const directory = await directoryOf(t);
  const files = new ReportFiles(directory);
  assert.deepEqual([await files.ids(), await files.summaries(9)], [[], []]);
  await files.keep(report(1));
  await files.keep(report(1));
  assert.deepEqual(await readdir(directory), ["000001-upgrade.html", "000001-upgrade.json"]);
  assert.deepEqual(await files.read(idOf(1)), report(1));
  const { lacks: _, ...earlier } = report(1);
  await writeFile(join(directory, "000001-upgrade.json"), JSON.stringify(earlier));
  assert.deepEqual(await files.read(idOf(1)), report(1), "one of an earlier version");
  for (const id of ["000002-upgrade", "../../etc/passwd", ""]) assert.equal(await files.read(id), undefined);
});

test("the oldest go beyond the bound", async (t) => {
  const files = new ReportFiles(await directoryOf(t));
  for (let number = 1; number <= 103; number += 1) await files.keep(report(number));
  const ids = await files.ids();
  assert.deepEqual([ids.length, ids[0], ids.at(-1)], [100, idOf(4), idOf(103)]);
  assert.deepEqual(
    (await files.summaries(2)).map(({ id }) => id),
    [idOf(103), idOf(102)],
  );
});

test("what is missing of ended stories is written, and what was removed for the bound is not", async (t) => {
  const files = new ReportFiles(await directoryOf(t));
  await files.keep(report(3));
  await leaveReports(systemOf([2, 3, 4, 1_000_000]), files, AbortSignal.timeout(10_000), assert.ifError);
  assert.deepEqual(await files.ids(), [idOf(3), idOf(4), idOf(1_000_000)]);
});

test("a disk that takes no report is told of, and stops nothing", async (t) => {
  const directory = await directoryOf(t);
  await writeFile(directory, "a file in the directory's place");
  const troubles: unknown[] = [];
  await leaveReports(systemOf([1, 2]), new ReportFiles(directory), AbortSignal.timeout(10_000), (error) =>
    troubles.push(error),
  );
  assert.ok(troubles.length >= 2, String(troubles));
});
