/** What the API takes and gives. The command uses the types below; `schemas.test.ts` holds them against the story's own. */
import { z } from "@hono/zod-openapi";
import { boardNames } from "../board/board.ts";
import { dormancyDepths } from "../board/depth.ts";
import { boardKinds } from "../board/kind.ts";
import { outcomes, phaseNames, recordEvents, storyKinds } from "../upgrade/record.ts";

export const board = z.enum(boardNames);
export const phase = z.enum(phaseNames);
export const kind = z.enum(storyKinds);
export const boardKind = z.enum(boardKinds);
export const version = z.string().nullable();
export const epochMs = z.number().describe("Milliseconds since 1970");
export const lines = z.array(z.string()).readonly();

export const recordSchema = z
  .object({
    v: z.literal(1).describe("Format version"),
    seq: z.number().describe("One higher than the record before it, over all stories of the system"),
    boot: z.string().describe("The host's boot id"),
    story: z.string(),
    kind,
    phase: phase.nullable(),
    event: z.enum(recordEvents),
    at: epochMs,
    data: z.record(z.string(), z.unknown()),
  })
  .openapi("Record");

const drainCounts = z.object({
  left: z.number().describe("Flows still on the old board"),
  finished: z.number().describe("Flows that ended by themselves"),
  closedEarly: z.number().describe("Flows that were closed between two requests"),
  cut: z.number().describe("Flows that were reset on both ends at the deadline"),
});

const drainSchema = drainCounts.extend({
  services: z.record(z.string(), drainCounts).describe("The same by service name"),
});

export const drainResultSchema = drainSchema.extend({ ms: z.number(), remarks: lines });

export const storyErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  remedy: z.string(),
  phase: z.string().nullable(),
  console: lines.describe("Last console lines of a board that failed"),
});

export const progressSchema = z
  .object({
    story: z.string(),
    phase,
    awaiting: z.string().optional().describe("What is awaited, for people"),
    bytes: z.number().optional(),
    totalBytes: z.number().optional(),
    drain: drainSchema.optional(),
  })
  .openapi("Progress");

export const storyResultSchema = z
  .object({
    id: z.string(),
    kind,
    outcome: z.enum(outcomes),
    from: version,
    to: version,
    phases: z.partialRecord(phase, z.number()).describe("Milliseconds spent in each phase that was entered"),
    error: storyErrorSchema.nullable(),
    drain: drainResultSchema.nullable(),
    endedAt: epochMs,
  })
  .openapi("StoryResult");

const boardStatusSchema = z
  .object({
    role: z.enum(["in service", "draining", "standby", "dormant", "booting", "dead", "off"]),
    kind: boardKind.describe("What it is; of a board that is off: what its slot holds software for"),
    slot: z.enum(["good", "bad", "unknown"]).nullable().describe("null: nothing was ever installed"),
    version,
    pid: z.number().nullable(),
    usage: z.object({ cpuNs: z.number(), residentBytes: z.number() }).nullable(),
    dormantSince: epochMs.nullable(),
    dormantCpuNs: z.number().nullable().describe("Processor time since it went dormant"),
    dormancy: z
      .object({
        depth: z.enum(dormancyDepths).nullable().describe("As it was laid to sleep"),
        since: epochMs.nullable().describe("When it was paused or stopped"),
        wayBackMs: z
          .number()
          .nullable()
          .describe(
            "As last measured: to wake a board of its kind; of one that is off, to boot and verify it",
          ),
      })
      .nullable()
      .describe("How it sleeps, null in it: not known; null: it is neither dormant nor kept off"),
    confinement: z
      .object({
        cores: z
          .string()
          .nullable()
          .describe("Cores of the host that its virtual processors may use, such as 2-3; null: all"),
        emulator: z.string().nullable().describe("The same of its other threads"),
        sharePercent: z
          .number()
          .nullable()
          .describe(
            "Its share of a processor that both boards want; 0: the idle class; null: not held back, or it does not run",
          ),
        memoryKills: z
          .number()
          .describe("Processes that the kernel killed for want of memory since the board was started"),
        lacks: lines.describe(
          "What the host does not do for the board as it should, and what it survived, as sentences",
        ),
      })
      .describe("How the host holds the board, by the kernel's account"),
  })
  .openapi("BoardStatus");

export const statusSchema = z
  .object({
    system: z.string(),
    holder: board.nullable(),
    draining: board.nullable(),
    primary: board.nullable(),
    floor: version.describe("Highest version ever committed"),
    stuck: z.object({ code: z.string(), reason: z.string() }).nullable(),
    failover: z.object({
      ready: z.boolean().describe("The other board would take the service over now if the holder failed"),
      reason: z.string().nullable().describe("Why not"),
    }),
    troubles: z
      .array(z.object({ service: z.string(), what: z.string(), mendable: z.boolean() }))
      .readonly()
      .describe("Services that do not work as they should; those that are mendable are mended by themselves"),
    story: z
      .object({
        id: z.string(),
        kind,
        phase: phase.nullable(),
        from: version,
        to: version,
        startedAt: epochMs,
        progress: z.union([progressSchema, z.null()]),
      })
      .nullable(),
    lastStory: z.union([storyResultSchema, z.null()]),
    boards: z.object({ a: boardStatusSchema, b: boardStatusSchema }),
    seq: z.number().describe("Sequence number of the newest record"),
  })
  .openapi("Status");

export const upgradeRequestSchema = z
  .strictObject({
    path: z
      .string()
      .regex(/^\/[^\0]{1,4095}$/, "expected an absolute path")
      .describe("Absolute path of the bundle on the device"),
    force: z
      .boolean()
      .default(false)
      .describe("Accept a version that failed here before, and overwrite the only good slot"),
  })
  .openapi("UpgradeRequest");

const placementLists = z.object({
  cores: z.string().nullable().describe("Of its virtual processors, such as 2-3; null: all"),
  emulator: z.string().nullable().describe("Of its other threads; null: the same"),
});

export const placedSchema = z
  .object({
    boards: z.object({ a: placementLists, b: placementLists }),
    otherChanges: z
      .boolean()
      .describe(
        "Other parts of the file have changed since the daemon started: they wait for its next start",
      ),
  })
  .openapi("Placed");

export const logSchema = z.object({ board, lines }).openapi("Log");

export const begunSchema = z.object({ id: z.string().describe("Id of the story") }).openapi("Begun");

export const errorSchema = z
  .object({
    error: z.object({
      code: z.string(),
      kind: z.enum(["rejected", "failed", "stuck", "usage"]),
      message: z.string(),
      remedy: z.string(),
      phase: z.string().nullable(),
    }),
  })
  .openapi("Error");

export type Status = z.infer<typeof statusSchema>;
export type StoryResult = z.infer<typeof storyResultSchema>;
export type JournalRecord = z.infer<typeof recordSchema>;
export type Progress = z.infer<typeof progressSchema>;
export type Placed = z.infer<typeof placedSchema>;
export type Log = z.infer<typeof logSchema>;
export type Begun = z.infer<typeof begunSchema>;
export type ErrorBody = z.infer<typeof errorSchema>;
