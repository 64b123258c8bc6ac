/** The API as data: every route, what it takes and gives. `GET /v1/openapi.json` is made of it. */
import { createRoute, z } from "@hono/zod-openapi";
import { boardNames } from "../board/board.ts";
import { consoleProtocol } from "./console-protocol.ts";
import { reportSchema, storyListSchema } from "./report-schemas.ts";
import {
  begunSchema,
  errorSchema,
  logSchema,
  placedSchema,
  statusSchema,
  storyResultSchema,
  upgradeRequestSchema,
} from "./schemas.ts";

const json = <Schema extends z.ZodType>(schema: Schema, description: string) => ({
  content: { "application/json": { schema } },
  description,
});
const refused = json(errorSchema, "Refused, or failed: branch on error.code");
const begun = json(begunSchema, "The story began; watch its events");
const done = json(z.object({}), "Done");

export const statusRoute = createRoute({
  method: "get",
  path: "/v1/status",
  summary: "Both boards, holder, versions, phase, processor time, memory",
  responses: { 200: json(statusSchema, "What is"), default: refused },
});

export const upgradeRoute = createRoute({
  method: "post",
  path: "/v1/upgrade",
  summary: "Deliver … commit: a bundle by its path on the device, or the bundle itself as the body",
  description:
    "With application/octet-stream the answer begins at once and ends when the body has been read; a sender that expects 100-continue is asked for the body once the story has begun.",
  request: {
    query: z.object({
      force: z.enum(["true", "false"]).optional().describe("Of a streamed bundle; as `force` of a path"),
    }),
    body: {
      content: {
        "application/json": { schema: upgradeRequestSchema },
        "application/octet-stream": {
          schema: z.unknown().openapi({ type: "string", format: "binary", description: "The bundle" }),
        },
      },
    },
  },
  responses: { 202: begun, default: refused },
});

export const rollbackRoute = createRoute({
  method: "post",
  path: "/v1/rollback",
  summary: "Back to the previous software",
  responses: { 202: begun, default: refused },
});

export const cancelRoute = createRoute({
  method: "post",
  path: "/v1/cancel",
  summary: "Stop an upgrade cleanly",
  responses: { 200: done, default: refused },
});

export const downRoute = createRoute({
  method: "post",
  path: "/v1/down",
  summary: "Stop the boards, remove what is ours from the host, and end the daemon",
  responses: { 200: done, default: refused },
});

export const placeRoute = createRoute({
  method: "post",
  path: "/v1/placement",
  summary: "Read the configuration's placement again, and move the boards",
  description: "Refused while a story is under way. Nothing else of the configuration is taken over.",
  responses: { 200: json(placedSchema, "Where the boards are now"), default: refused },
});

const storyId = z.object({
  id: z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/, "expected the id of a story"),
});
const most = 100;

export const storiesRoute = createRoute({
  method: "get",
  path: "/v1/stories",
  summary: "Every story that is kept, newest first",
  request: {
    query: z.object({
      limit: z
        .string()
        .regex(/^\d{1,6}$/, "expected a number")
        .transform((text) => Math.min(most, Number(text)))
        .optional()
        .describe(`How many at most; ${most} are kept`),
    }),
  },
  responses: { 200: json(storyListSchema, "The stories"), default: refused },
});

export const reportRoute = createRoute({
  method: "get",
  path: "/v1/stories/{id}/report",
  summary: "The report of a story, also while it is under way",
  request: { params: storyId },
  responses: { 200: json(reportSchema, "The report"), default: refused },
});

export const reportPageRoute = createRoute({
  method: "get",
  path: "/v1/stories/{id}/report.html",
  summary: "The same as one self-contained page",
  request: { params: storyId },
  responses: {
    200: { content: { "text/html": { schema: z.string() } }, description: "The page" },
    default: refused,
  },
});

export const storyRoute = createRoute({
  method: "get",
  path: "/v1/stories/{id}",
  summary: "How a story ended",
  request: { params: storyId },
  responses: { 200: json(storyResultSchema, "How it ended"), default: refused },
});

const board = z.object({ board: z.enum(boardNames) });

export const logRoute = createRoute({
  method: "get",
  path: "/v1/boards/{board}/log",
  summary: "A board's console log, also of a board that is off or dead",
  description:
    "With `follow=true` server-sent events: `event: line` carries one line as a JSON string, first the last ones, then each as it is complete. A comment comes at least every ten seconds.",
  request: {
    params: board,
    query: z.object({
      lines: z
        .string()
        .regex(/^\d{1,5}$/, "expected a number of lines, at most 99999")
        .default("100")
        .transform(Number)
        .describe("The last lines"),
      follow: z.enum(["true", "false"]).optional(),
    }),
  },
  responses: {
    200: {
      content: {
        "application/json": { schema: logSchema },
        "text/event-stream": { schema: z.string() },
      },
      description: "The last lines; or the events, until it is closed",
    },
    default: refused,
  },
});

export const consoleRoute = createRoute({
  method: "post",
  path: "/v1/boards/{board}/console",
  summary: "Attach to the console of a board that runs",
  description: `Asks for another protocol: \`Connection: Upgrade\`, \`Upgrade: ${consoleProtocol}\`, no body. After the answer 101 the connection carries what is typed one way and what the board writes the other, as they are. It ends when the board no longer runs, or with the client.`,
  request: { params: board },
  responses: { 101: { description: "The console" }, default: refused },
});

const seq = z
  .string()
  .regex(/^\d{1,15}$/, "expected a sequence number")
  .transform(Number);

export const eventsRoute = createRoute({
  method: "get",
  path: "/v1/events",
  summary: "Records of the journal and progress, as server-sent events",
  description:
    "`event: record` carries a Record and its sequence number as id; `event: progress` carries a Progress and no id. A comment comes at least every ten seconds.",
  request: {
    query: z.object({ after: seq.optional().describe("Only records after this one") }),
    headers: z.object({ "last-event-id": seq.optional().describe("As `after`; the higher precedence") }),
  },
  responses: {
    200: {
      content: { "text/event-stream": { schema: z.string() } },
      description: "Goes on until it is closed",
    },
    default: refused,
  },
});
