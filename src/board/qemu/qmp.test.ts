import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { TwinboardError } from "../../errors.ts";
import { QmpConnection, type QmpEvent, type QmpOptions } from "./qmp.ts";

const greeting = '{"QMP": {"version": {}, "capabilities": []}}\r\n';

/** A server on a real unix socket that greets, and hands each command to `answer`. */
async function serve(
  answer: (command: { execute: string; id: number }, socket: Socket) => void,
  hello = greeting,
): Promise<{
  connect(options?: QmpOptions): Promise<QmpConnection>;
  [Symbol.asyncDispose](): Promise<void>;
}> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-qmp-"));
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.write(hello);
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
        answer(JSON.parse(text.slice(0, end)) as { execute: string; id: number }, socket);
        text = text.slice(end + 1);
      }
    });
  }).listen(join(directory, "qmp"));
  await once(server, "listening");
  return {
    connect: (options) => QmpConnection.open(connect(join(directory, "qmp")), options),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await rm(directory, { recursive: true });
    },
  };
}

const reply = (socket: Socket, id: number, value: unknown): void => {
  socket.write(`${JSON.stringify({ return: value, id })}\r\n`);
};
const hasCode = (code: string) => (error: unknown) => error instanceof TwinboardError && error.code === code;

test("answers find their command by id, in whatever order they come", async () => {
  const held: { id: number; execute: string }[] = [];
  await using server = await serve((command, socket) => {
    if (command.execute === "qmp_capabilities") reply(socket, command.id, {});
    else held.push(command);
    if (held.length === 3) for (const { id, execute } of held.toReversed()) reply(socket, id, execute);
  });
  const qmp = await server.connect();
  assert.deepEqual(await Promise.all(["a", "b", "c"].map((name) => qmp.execute(name))), ["a", "b", "c"]);
  qmp.close();
});

test("what QEMU refuses is an error with its words", async () => {
  await using server = await serve(({ execute, id }, socket) => {
    if (execute === "qmp_capabilities") reply(socket, id, {});
    else socket.write(`{"error": {"class": "CommandNotFound", "desc": "no such command"}, "id": ${id}}\n`);
  });
  const qmp = await server.connect();
  await assert.rejects(qmp.execute("nonsense"), /no such command/);
  qmp.close();
});

test("everything pending is rejected when the connection ends, and later commands at once", async () => {
  let end: Error | undefined;
  await using server = await serve(({ execute, id }, socket) => {
    if (execute === "qmp_capabilities") reply(socket, id, {});
    else if (execute === "last") socket.destroy();
  });
  const qmp = await server.connect({ onEnd: (reason) => (end = reason) });
  const outcomes = await Promise.allSettled([qmp.execute("first"), qmp.execute("last")]);
  assert.deepEqual(
    outcomes.map((outcome) => outcome.status === "rejected" && hasCode("board-died")(outcome.reason)),
    [true, true],
  );
  await assert.rejects(qmp.execute("later"), hasCode("board-died"));
  assert.ok(hasCode("board-died")(end));
});

test("a command has a deadline and a signal, and its late answer is nobody's", async () => {
  let late = 0;
  await using server = await serve(({ execute, id }, socket) => {
    if (execute === "silence") late = id;
    else {
      if (late !== 0) reply(socket, late, "late");
      reply(socket, id, "here");
    }
  });
  const qmp = await server.connect({ timeoutMs: 200 });
  await assert.rejects(qmp.execute("silence"), hasCode("deadline-passed"));
  assert.equal(await qmp.execute("next"), "here");
  const reason = new Error("asked to");
  const abort = new AbortController();
  const cancelled = qmp.execute("silence", undefined, abort.signal);
  abort.abort(reason);
  await assert.rejects(cancelled, reason);
  qmp.close();
});

test("a second client, whom QEMU does not greet, gives up at its deadline", async () => {
  await using server = await serve(() => undefined, "");
  await assert.rejects(server.connect({ timeoutMs: 100 }), hasCode("deadline-passed"));
});

test("nobody listens", async () => {
  await assert.rejects(QmpConnection.open(connect("/nonexistent/qmp")), hasCode("board-died"));
});

test("what is not the protocol ends the connection with a reason", async () => {
  for (const hello of ["HTTP/1.1 400 Bad Request\n", "[]\n", "{}\n", `${"x".repeat(1024 * 1024 + 1)}\n`]) {
    await using server = await serve(() => undefined, hello);
    await assert.rejects(server.connect(), hasCode("board-died"));
  }
});

test("events arrive in order, however the stream is cut", async () => {
  const names = fc.array(fc.stringMatching(/^[A-Z_]{1,20}$/), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(names, fc.integer({ min: 1, max: 30 }), async (events, size) => {
      const stream = Buffer.from(
        events.map((event) => `${JSON.stringify({ event, data: { event } })}\r\n`).join(""),
      );
      await using server = await serve(({ execute, id }, socket) => {
        if (execute === "go")
          for (let i = 0; i < stream.length; i += size) socket.write(stream.subarray(i, i + size));
        reply(socket, id, {});
      });
      const seen: QmpEvent[] = [];
      const qmp = await server.connect({ onEvent: (event) => seen.push(event) });
      await qmp.execute("go");
      assert.deepEqual(
        seen,
        events.map((event) => ({ event, data: { event } })),
      );
      qmp.close();
    }),
    { numRuns: 20 },
  );
});
