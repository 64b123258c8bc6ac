/** The daemon's API from outside: HTTP over its unix socket. Types are the API's; an error of the API is thrown as what it was. */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { consoleProtocol } from "../api/console-protocol.ts";
import type { Report, StoryList } from "../api/report-schemas.ts";
import type {
  Begun,
  ErrorBody,
  JournalRecord,
  Log,
  Placed,
  Progress,
  Status,
  StoryResult,
} from "../api/schemas.ts";
import { type ErrorCode, errorTable, TwinboardError } from "../errors.ts";
import { parseEvents, type ServerEvent } from "./event-parser.ts";

const maxAnswerBytes = 4 * 1024 * 1024;
const answerTimeoutMs = 30_000;
/** Taking a system down waits for its boards. */
const downTimeoutMs = 5 * 60_000;
/** The API sends something at least every ten seconds. */
const silenceTimeoutMs = 30_000;

export type BoardName = Log["board"];
export type StoryEvent = { readonly record: JournalRecord } | { readonly progress: Progress };

interface Ask {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

export class Client {
  readonly socket: string;

  constructor(socket: string) {
    this.socket = socket;
  }

  async status(): Promise<Status> {
    return (await this.#ask({ method: "GET", path: "/v1/status" })) as Status;
  }

  async upgrade(path: string, force: boolean): Promise<Begun> {
    const body = JSON.stringify({ path, force });
    const headers = { "content-type": "application/json" };
    return (await this.#ask({ method: "POST", path: "/v1/upgrade", headers, body })) as Begun;
  }

  /**
   * Sends a bundle. Resolves once the story began; `sent` settles when the daemon has taken all it wants of the bundle, and never
   * rejects: what became of the bundle, the story tells.
   */
  async upload(
    bundle: AsyncIterable<Uint8Array>,
    force: boolean,
    signal: AbortSignal,
  ): Promise<Begun & { readonly sent: Promise<void> }> {
    const request = this.#request({
      method: "POST",
      path: `/v1/upgrade?force=${String(force)}`,
      // The daemon asks for the body once the story began; a story that is refused costs no byte.
      headers: { "content-type": "application/octet-stream", expect: "100-continue" },
      signal,
    });
    const sending = new Promise<void>((resolve) => {
      request.once("continue", () => {
        pipeline(bundle, request).then(resolve, resolve);
      });
      request.once("close", resolve);
    });
    request.flushHeaders();
    const response = await answer(request, this.socket);
    if (response.statusCode !== 202) {
      const error = errorOf(await readJson(response));
      request.destroy();
      throw error;
    }
    // From here on it is the bundle's own pace that counts, and the daemon watches over that.
    request.setTimeout(0);
    // The answer's JSON comes at once; its end comes when the bundle has been read.
    const chunks = response.setEncoding("utf8")[Symbol.asyncIterator]();
    const first = await chunks.next();
    const over = (async () => {
      while ((await chunks.next()).done !== true);
    })();
    const sent = Promise.allSettled([sending, over]).then(() => undefined);
    return { ...(JSON.parse(String(first.value)) as Begun), sent };
  }

  async rollback(): Promise<Begun> {
    return (await this.#ask({ method: "POST", path: "/v1/rollback" })) as Begun;
  }

  async cancel(): Promise<void> {
    await this.#ask({ method: "POST", path: "/v1/cancel" });
  }

  async place(): Promise<Placed> {
    return (await this.#ask({ method: "POST", path: "/v1/placement" })) as Placed;
  }

  async down(): Promise<void> {
    await this.#ask({ method: "POST", path: "/v1/down", timeoutMs: downTimeoutMs });
  }

  async story(id: string): Promise<StoryResult> {
    return (await this.#ask({ method: "GET", path: `/v1/stories/${encodeURIComponent(id)}` })) as StoryResult;
  }

  async stories(limit: number): Promise<StoryList> {
    return (await this.#ask({ method: "GET", path: `/v1/stories?limit=${limit}` })) as StoryList;
  }

  async report(id: string): Promise<Report> {
    return (await this.#ask({ method: "GET", path: reportPath(id) })) as Report;
  }

  /** The report as HTML. */
  async reportPage(id: string): Promise<string> {
    const request = this.#request({ method: "GET", path: `${reportPath(id)}.html` });
    request.end();
    const response = await answer(request, this.socket);
    if ((response.statusCode ?? 500) >= 400) throw errorOf(await readJson(response));
    return await readText(response);
  }

  /** Records after `after`, and progress, until the connection ends. Errors: `daemon-unreachable`, also when it is lost. */
  async *events(after: number, signal: AbortSignal): AsyncGenerator<StoryEvent> {
    for await (const { event, data } of this.#stream("/v1/events", String(after), signal)) {
      if (event === "record") yield { record: JSON.parse(data) as JournalRecord };
      else if (event === "progress") yield { progress: JSON.parse(data) as Progress };
    }
  }

  /** The last lines of a board's console, at most `lines` of them. */
  async log(board: BoardName, lines: number): Promise<readonly string[]> {
    const { lines: found } = (await this.#ask({ method: "GET", path: logPath(board, lines) })) as Log;
    return found;
  }

  /** The same, then each line as it is complete, until the connection ends. Errors: `daemon-unreachable`, also when it is lost. */
  async *followLog(board: BoardName, lines: number, signal: AbortSignal): AsyncGenerator<string> {
    for await (const { event, data } of this.#stream(
      `${logPath(board, lines)}&follow=true`,
      undefined,
      signal,
    ))
      if (event === "line") yield JSON.parse(data) as string;
  }

  /** Both directions of a board's console; ends when the board no longer runs. Errors: `board-not-running`, `console-in-use`. */
  async attachConsole(board: BoardName): Promise<Duplex> {
    const request = this.#request({
      method: "POST",
      path: `/v1/boards/${board}/console`,
      headers: { connection: "Upgrade", upgrade: consoleProtocol },
    });
    const upgraded = new Promise<[socket: Socket, head: Buffer]>((resolve) => {
      request.once("upgrade", (_, socket, head) => resolve([socket, head]));
    });
    request.end();
    const refused = answer(request, this.socket).then(async (response) => {
      throw errorOf(await readJson(response));
    });
    const [socket, head] = await Promise.race([upgraded, refused]);
    socket.setTimeout(0);
    if (head.length > 0) socket.unshift(head);
    return socket;
  }

  async *#stream(path: string, after: string | undefined, signal: AbortSignal): AsyncGenerator<ServerEvent> {
    const request = this.#request({
      method: "GET",
      path,
      headers: {
        accept: "text/event-stream",
        ...(after === undefined ? {} : { "last-event-id": after }),
      },
      signal,
      timeoutMs: silenceTimeoutMs,
    });
    request.end();
    try {
      const response = await answer(request, this.socket);
      if (response.statusCode !== 200) throw errorOf(await readJson(response));
      yield* parseEvents(response.setEncoding("utf8"));
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      // A daemon that has fallen silent is as good as gone, and its connection is made anew.
      const silent = error instanceof TwinboardError && error.code === "deadline-passed";
      throw silent
        ? new TwinboardError("daemon-unreachable", { detail: `${this.socket}: silent`, cause: error })
        : unreachable(this.socket, error);
    } finally {
      request.destroy();
    }
  }

  async #ask(ask: Ask): Promise<unknown> {
    const request = this.#request(ask);
    request.end(ask.body);
    const response = await answer(request, this.socket);
    const value = await readJson(response);
    if ((response.statusCode ?? 500) >= 400) throw errorOf(value);
    return value;
  }

  #request({ method, path, headers = {}, signal, timeoutMs = answerTimeoutMs }: Ask): ClientRequest {
    const request = httpRequest({
      socketPath: this.socket,
      method,
      path,
      headers: { host: "twinboard", ...headers },
      agent: false,
      timeout: timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    request.once("timeout", () =>
      request.destroy(new TwinboardError("deadline-passed", { detail: `an answer (${timeoutMs} ms)` })),
    );
    return request;
  }
}

function logPath(board: BoardName, lines: number): string {
  return `/v1/boards/${board}/log?lines=${lines}`;
}

async function answer(request: ClientRequest, socket: string): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    request.once("response", resolve);
    // It stays: a connection that breaks later is told by the response too.
    request.on("error", (error) => reject(unreachable(socket, error)));
  });
}

function unreachable(socket: string, cause: unknown): Error {
  if (cause instanceof TwinboardError) return cause;
  const { code, name, message } = cause as NodeJS.ErrnoException;
  if (name === "AbortError") return cause as Error;
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "no such socket",
    ECONNREFUSED: "nobody listens",
    EACCES: "no permission; be root, or in the group twinboard",
    ECONNRESET: "the connection was lost",
  };
  return new TwinboardError("daemon-unreachable", {
    detail: `${socket}: ${reasons[code ?? ""] ?? message}`,
    cause,
  });
}

const reportPath = (id: string): string => `/v1/stories/${encodeURIComponent(id)}/report`;

async function readText(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) {
    text += String(chunk);
    if (text.length > maxAnswerBytes) throw new TwinboardError("request-too-large", { detail: "the answer" });
  }
  return text;
}

async function readJson(response: IncomingMessage): Promise<unknown> {
  const text = await readText(response);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TwinboardError("internal", { detail: `the daemon answered ${text.slice(0, 100)}`, cause });
  }
}

/** The API's error as it was on the other side; a code of a later version is kept in the text. */
function errorOf(body: unknown): TwinboardError {
  const { error } = body as Partial<ErrorBody>;
  if (error === undefined || !(error.code in errorTable))
    return new TwinboardError("internal", { detail: error?.message ?? JSON.stringify(body).slice(0, 200) });
  const code = error.code as ErrorCode;
  const said = `${errorTable[code].sentence}: `;
  return new TwinboardError(code, {
    ...(error.message.startsWith(said) ? { detail: error.message.slice(said.length) } : {}),
    ...(error.phase === null ? {} : { phase: error.phase }),
    remedy: error.remedy,
  });
}
