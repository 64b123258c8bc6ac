/** The API as data: every route, what it takes and gives. `GET /v1/openapi.json` is made of it. */
import { createRoute, z } from "@hono/zod-openapi";
import {
  begunSchema,
  errorSchema,
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

export const storyRoute = createRoute({
  method: "get",
  path: "/v1/stories/{id}",
  summary: "How a story ended",
  request: {
    params: z.object({ id: z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/, "expected the id of a story") }),
  },
  responses: { 200: json(storyResultSchema, "How it ended"), default: refused },
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
