/** What the API tells of stories that are over, or go on: the list, and the report of one. docs/report.md tells the keys to people. */
import { z } from "@hono/zod-openapi";
import { phaseEnds } from "../upgrade/course.ts";
import { failureCauses } from "../upgrade/failover-plan.ts";
import { outcomes } from "../upgrade/record.ts";
import {
  board,
  boardKind,
  drainResultSchema,
  epochMs,
  kind,
  lines,
  phase,
  storyErrorSchema,
  version,
} from "./schemas.ts";

const outcome = z.enum(outcomes).nullable().describe("null: it is under way");

export const storySummarySchema = z
  .object({
    id: z.string(),
    kind,
    outcome,
    from: version,
    to: version,
    startedAt: epochMs,
    endedAt: epochMs.nullable(),
    phase: phase.nullable().describe("The newest"),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    drain: z.object({ finished: z.number(), closedEarly: z.number(), cut: z.number() }).nullable(),
  })
  .openapi("StorySummary");

export const storyListSchema = z
  .object({ stories: z.array(storySummarySchema).readonly() })
  .openapi("StoryList");

const phaseRunSchema = z
  .object({
    phase,
    attempt: z.number().describe("Which run of this phase, from 1"),
    startedAt: epochMs,
    endedAt: epochMs.nullable(),
    ms: z.number().nullable(),
    end: z.enum(phaseEnds),
    reason: z.string().nullable().describe("Why it failed"),
  })
  .openapi("PhaseRun");

const checkSchema = z
  .object({
    name: z.string(),
    phase,
    board,
    asked: z.number(),
    failed: z.number(),
    slowestMs: z.number().nullable().describe("Of those that passed"),
    reason: z.string().nullable().describe("Why the last failed that did"),
    points: z
      .array(z.tuple([epochMs, z.number().describe("Milliseconds")]).readonly())
      .readonly()
      .describe("Answers that passed, at most 300; of neighbours the slowest"),
    failedAt: z.array(epochMs).readonly().describe("At most 300"),
  })
  .openapi("CheckReport");

export const reportSchema = z
  .object({
    v: z.literal(1).describe("Format version"),
    system: z.string(),
    id: z.string(),
    kind,
    outcome,
    from: z.object({ board: board.nullable(), version, kind: boardKind.nullable() }),
    to: z.object({ board, version, kind: boardKind.nullable() }),
    startedAt: epochMs,
    endedAt: epochMs.nullable(),
    updatedAt: epochMs.describe("Time of the newest record"),
    phases: z.array(phaseRunSchema).readonly(),
    undo: z.object({ phase, startedAt: epochMs, endedAt: epochMs.nullable() }).nullable(),
    service: z.object({
      movedAt: epochMs.nullable().describe("When the service moved to `to`; null: it did not"),
      takeoverMs: z.number().nullable().describe("How long the takeover's transaction took"),
      cameBackAt: epochMs.nullable(),
    }),
    recoveries: z
      .array(
        z.object({
          at: epochMs,
          lastSeenAt: epochMs.describe("Time of the last record of the daemon before"),
          after: z.enum(["daemon", "reboot"]),
          action: z.enum(["nothing", "go-on", "roll-back"]),
          phase: phase.nullable(),
        }),
      )
      .readonly(),
    drain: drainResultSchema.nullable().describe("Of the flows of `from`"),
    backDrain: drainResultSchema.nullable().describe("Of the flows of `to`, after a take-back"),
    probationMs: z.number().describe("Probation that was served"),
    checks: z.array(checkSchema).readonly(),
    error: storyErrorSchema.nullable(),
    failure: z
      .object({ board, cause: z.enum(failureCauses), detail: z.string(), at: epochMs, console: lines })
      .nullable()
      .describe("Why the story began by itself: what was wrong with the board in service"),
    installed: z
      .object({
        version: z.string(),
        digest: z.string().describe("Hex SHA-256 of the bundle's signed manifest"),
        signer: z.string().nullable(),
        images: z
          .array(z.object({ class: z.string(), sha256: z.string(), sizeBytes: z.number().nullable() }))
          .readonly(),
      })
      .nullable(),
    lacks: z
      .array(z.object({ board, what: z.string() }))
      .readonly()
      .describe("What was asked of the host for these boards and was not so, when verify ended"),
    remarks: lines,
  })
  .openapi("Report");

export type StorySummary = z.infer<typeof storySummarySchema>;
export type StoryList = z.infer<typeof storyListSchema>;
export type Report = z.infer<typeof reportSchema>;
