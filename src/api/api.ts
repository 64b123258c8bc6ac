/** The API of one system, over HTTP: a story asked for, watched and cancelled. */
import { Readable } from "node:stream";
import type { HttpBindings } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { TwinboardError } from "../errors.ts";
import type { Report } from "../upgrade/report.ts";
import { consoleProtocol } from "./console-protocol.ts";
import { errorBody, requestError } from "./error-body.ts";
import { eventStream, logStream } from "./event-stream.ts";
import * as routes from "./routes.ts";
import { type Placed, upgradeRequestSchema } from "./schemas.ts";
import type { ServedSystem } from "./served-system.ts";
import { receiveUpload } from "./upload.ts";

const maxBodyBytes = 64 * 1024;
const maxWatchers = 32;
const jsonType = "application/json";
const bundleType = "application/octet-stream";

export interface ApiOptions {
  /** Takes the system down; the daemon ends by itself afterwards. */
  readonly down: () => Promise<void>;
  /** Moves the boards to where the configuration's file now says. Errors: `busy`, `config-invalid`, `command-failed`. */
  readonly place: () => Promise<Placed>;
  /** Aborts when the daemon stops: ends every stream of events. */
  readonly closing: AbortSignal;
  readonly version: string;
}

/** The routes, bound to a system. Every error leaves as `{error: {code, kind, message, remedy, phase}}`. */
export function createApi(system: ServedSystem, { down, place, closing, version }: ApiOptions) {
  const api = new OpenAPIHono<{ Bindings: HttpBindings }>({
    defaultHook: (result) => {
      if (result.success) return;
      const told = result.error.issues.map(({ path, message }) => `${path.join(".") || "body"}: ${message}`);
      throw requestError(told.join("; "));
    },
  });
  api.onError((error, c) => {
    const { body, status } = errorBody(error instanceof HTTPException ? requestError(error.message) : error);
    return c.json(body, status as ContentfulStatusCode);
  });
  api.notFound((c) => {
    const { body } = errorBody(new TwinboardError("not-found", { detail: `${c.req.method} ${c.req.path}` }));
    return c.json(body, 404);
  });
  api.use("/*", async (c, next) => {
    if (!isBundle(c.req.header("content-type"))) checkBodySize(c.req.raw.headers);
    await next();
  });
  api.use(routes.upgradeRoute.path, async (c, next) => {
    const type = mediaType(c.req.header("content-type"));
    if (type === jsonType || type === bundleType) return await next();
    throw requestError(`expected a body of ${jsonType} or ${bundleType}`);
  });

  api.openapi(routes.statusRoute, async (c) => c.json(await system.status(), 200));
  api.post(routes.upgradeRoute.path, async (c, next) => {
    if (!isBundle(c.req.header("content-type"))) return await next();
    const force = c.req.query("force") ?? "false";
    if (force !== "true" && force !== "false") throw requestError("force: expected true or false");
    const { stream, sizeBytes, over, ask } = receiveUpload(c.env.incoming, c.env.outgoing);
    const source = { kind: "stream", stream, ...(sizeBytes === undefined ? {} : { sizeBytes }) } as const;
    const begun = await system.upgrade(source, { force: force === "true" });
    ask();
    return c.body(answerUntil(begun, over), 202, { "content-type": "application/json" });
  });
  api.openapi(routes.upgradeRoute, async (c) => {
    const { path, force } = upgradeRequestSchema.parse(c.req.valid("json"));
    return c.json(await system.upgrade({ kind: "path", path }, { force }), 202);
  });
  api.openapi(routes.rollbackRoute, async (c) => c.json(await system.rollback(), 202));
  api.openapi(routes.cancelRoute, async (c) => {
    await system.cancel();
    return c.json({}, 200);
  });
  api.openapi(routes.downRoute, async (c) => {
    // A sender that goes away does not stop what it has asked for.
    await down();
    return c.json({}, 200);
  });
  api.openapi(routes.placeRoute, async (c) => c.json(await place(), 200));
  api.openapi(routes.storyRoute, async (c) => {
    const { id } = c.req.valid("param");
    const result = await system.result(id);
    if (result === undefined) throw new TwinboardError("not-found", { detail: `no story ${id} has ended` });
    return c.json(result, 200);
  });

  api.openapi(routes.storiesRoute, (c) => {
    const { limit } = c.req.valid("query");
    return c.json({ stories: system.stories().slice(0, limit) }, 200);
  });
  api.openapi(routes.reportRoute, (c) => c.json(reportOrThrow(system, c.req.valid("param").id), 200));
  api.openapi(routes.reportPageRoute, async (c) => {
    const report = reportOrThrow(system, c.req.valid("param").id);
    const { renderReport } = await import("../report/page.ts");
    return c.html(renderReport(report), 200);
  });

  let watchers = 0;
  /** Streams to one client more, until it goes away or the daemon stops. Errors: `too-many-watchers`. */
  const streaming = (request: Request, events: (gone: AbortSignal) => AsyncIterable<string>) => {
    if (watchers >= maxWatchers) throw new TwinboardError("too-many-watchers");
    watchers += 1;
    const stream = Readable.from(events(AbortSignal.any([closing, request.signal])), { objectMode: false });
    stream.once("close", () => {
      watchers -= 1;
    });
    const headers = { "content-type": "text/event-stream", "cache-control": "no-store" };
    return new Response(Readable.toWeb(stream) as ReadableStream, { headers });
  };
  api.openapi(routes.eventsRoute, (c) => {
    const after = c.req.valid("header")["last-event-id"] ?? c.req.valid("query").after ?? 0;
    return streaming(c.req.raw, (gone) => eventStream(system, after, gone));
  });
  api.openapi(routes.logRoute, async (c) => {
    const { board } = c.req.valid("param");
    const { lines, follow } = c.req.valid("query");
    if (follow === "true") return streaming(c.req.raw, (gone) => logStream(system, board, lines, gone));
    return c.json({ board, lines: await system.consoleTail(board, lines) }, 200);
  });
  api.openapi(routes.consoleRoute, () => {
    // What asks for it as it should never comes here (console-upgrade.ts).
    throw requestError(`expected the headers Connection: Upgrade and Upgrade: ${consoleProtocol}`);
  });
  api.doc31("/v1/openapi.json", { openapi: "3.1.0", info: { title: "Twinboard", version } });
  return api;
}

/** Errors: `not-found`. */
function reportOrThrow(system: ServedSystem, id: string): Report {
  const report = system.report(id);
  if (report !== undefined) return report;
  throw new TwinboardError("not-found", {
    detail: `story ${id}; twinboard history lists those that are kept`,
  });
}

/** Errors: `request-too-large`, `request-invalid` for a body whose length is not told beforehand. */
function checkBodySize(headers: Headers): void {
  if (headers.has("transfer-encoding")) throw requestError("expected a body with its Content-Length");
  // Node's parser takes no byte more than it announces.
  if (Number(headers.get("content-length") ?? 0) > maxBodyBytes)
    throw new TwinboardError("request-too-large", { detail: `at most ${maxBodyBytes} bytes` });
}

function mediaType(header: string | undefined): string | undefined {
  return header?.split(";")[0]?.trim().toLowerCase();
}

function isBundle(header: string | undefined): boolean {
  return mediaType(header) === bundleType;
}

/**
 * An answer whose JSON is there at once and whose end waits: an HTTP/1.1 exchange is over with its answer, and what is left of
 * the body would be thrown away then.
 */
function answerUntil(begun: { readonly id: string }, over: Promise<void>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: async (controller) => {
      controller.enqueue(new TextEncoder().encode(`${JSON.stringify(begun)}\n`));
      await over;
      controller.close();
    },
  });
}
