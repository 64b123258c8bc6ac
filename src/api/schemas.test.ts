/** The types that the command sees are those of the story, both ways: checked by the compiler, and by a value at run time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type * as record from "../upgrade/record.ts";
import type * as report from "../upgrade/report.ts";
import type * as status from "../upgrade/status.ts";
import type * as reportSchemas from "./report-schemas.ts";
import * as schemas from "./schemas.ts";

/** zod reads an optional key as one that may be `undefined`; JSON has no such value, so that the two are the same here. */
type Loose<T> = T extends readonly (infer Item)[]
  ? readonly Loose<Item>[]
  : T extends object
    ? { [Key in keyof T]: Partial<T> extends Pick<T, Key> ? Loose<T[Key]> | undefined : Loose<T[Key]> }
    : T;
type Fits<One, Two> = [One] extends [Two] ? ([Two] extends [One] ? true : "too narrow") : "too wide";
type Same<One, Two> = Fits<Loose<One>, Loose<Two>>;

const same: {
  status: Same<status.SystemStatus, schemas.Status>;
  result: Same<status.StoryResult, schemas.StoryResult>;
  progress: Same<record.ProgressEvent, schemas.Progress>;
  record: Same<record.JournalRecord, schemas.JournalRecord>;
  report: Same<report.Report, reportSchemas.Report>;
  summary: Same<report.StorySummary, reportSchemas.StorySummary>;
} = { status: true, result: true, progress: true, record: true, report: true, summary: true };

test("the schemas describe the story's own types", () => {
  assert.deepEqual(Object.values(same), [true, true, true, true, true, true]);
  const event: schemas.Progress = { story: "s", phase: "install", bytes: 1, totalBytes: 2 };
  assert.deepEqual(schemas.progressSchema.parse(event), event);
});
