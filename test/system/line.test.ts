/** A line through a real broker: stand-in boards at unix sockets, a pseudo terminal as the device. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chown, link, readFile, rm, symlink } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { describe } from "node:test";
import { StandInBoard } from "../fixtures/line/board.ts";
import { onLine, Reading, readings, until, untilFigures } from "../fixtures/line/lab.ts";

describe("a line", { concurrency: 1 }, () => {
  onLine("only the holder is reached and heard; what comes while it is leased waits", async (lab, signal) => {
    const pty = await lab.plug();
    const out = new Reading();
    pty.output.on("data", (bytes: Buffer) => out.push(bytes));
    const read = readings(lab);
    const service = await lab.begin("a", signal);
    pty.input.write("one ");
    await read.a.is("one ", signal);
    await lab.boards.b.send(Buffer.from("noise"));
    await lab.boards.a.send(Buffer.from("old "));
    await out.is("old ", signal);
    await lab.boards.a.send(Buffer.from("last "));
    await service.lease("b", 1, signal);
    pty.input.write("two ");
    await untilFigures(service, (figures) => figures.waitingBytes === 4, signal);
    await lab.boards.a.send(Buffer.from("too late"));
    await service.settle("b", 2, signal);
    await lab.boards.b.send(Buffer.from("new"));
    pty.input.write("three");
    await read.b.is("two three", signal);
    await out.is("old last new", signal);
    assert.equal(read.a.text, "one ");
    assert.deepEqual(await untilFigures(service, (figures) => figures.refusedBytes === 13, signal), {
      inBytes: 13,
      outBytes: 12,
      waitingBytes: 0,
      leavingBytes: 0,
      refusedBytes: 13,
      lostBytes: 0,
      droppedBytes: null,
    });
    await assert.rejects(service.fence("b"), { code: "internal" });
    await service.fence("a");
    const drained = { left: 0, finished: 0, closedEarly: 0, cut: 0, remarks: [] };
    assert.deepEqual(await service.drain("a", { sinceMs: Date.now() }, signal), drained);
    await assert.rejects(service.lease("a", 1, signal), { code: "stale-epoch" });
  });

  onLine(
    "a line that is pulled is a trouble, and works again when it is back; its holder stays",
    async (lab, signal) => {
      const service = await lab.begin("a", signal);
      assert.match((await service.inspect()).trouble ?? "", /line is not there/);
      const read = readings(lab);
      for (const words of ["one", "two"]) {
        const pty = await lab.plug();
        const out = new Reading();
        pty.output.on("data", (bytes: Buffer) => out.push(bytes));
        await until(service, ({ trouble }) => trouble === null, signal);
        pty.input.write(`${words} `);
        await lab.boards.a.send(Buffer.from(words));
        await out.is(words, signal);
        if (words === "two") continue;
        // While it sends: then its end is read, not told.
        const flood = setInterval(() => pty.input.write(Buffer.alloc(4096, "#")), 1);
        await read.a.until(() => read.a.text.length > 100_000, signal);
        await pty.pull();
        clearInterval(flood);
        const { trouble, holder } = await until(service, (found) => found.trouble !== null, signal);
        assert.match(trouble ?? "", /line (was unplugged|is not there)/);
        assert.equal(holder, "a");
        await lab.boards.a.send(Buffer.from("into the void"));
        await untilFigures(service, (figures) => figures.lostBytes === 13, signal);
      }
      await read.a.until(() => read.a.text.endsWith("two "), signal);
    },
  );

  onLine(
    "a board that boots again is connected to again; what waited meanwhile is not lost",
    async (lab, signal) => {
      const pty = await lab.plug();
      const service = await lab.begin("a", signal);
      const read = readings(lab);
      await lab.boards.a.die();
      await until(service, ({ trouble }) => /board a/.test(trouble ?? ""), signal);
      pty.input.write("for whoever holds");
      await untilFigures(service, (figures) => figures.waitingBytes === 17, signal);
      await service.attach("a", signal);
      await lab.boards.a.boot();
      await read.a.is("for whoever holds", signal);
      assert.equal((await service.inspect()).trouble, null);
    },
  );

  onLine(
    "a board that hangs blocks nobody: the outside waits within a bound, and the next holder gets the rest in order",
    async (lab, signal) => {
      const pty = await lab.plug();
      const service = await lab.begin("a", signal, { bufferBytes: 8192 });
      const read = readings(lab);
      lab.boards.a.reads = false;
      const sent = Buffer.from(Array.from({ length: 400_000 }, (_, i) => 97 + (i % 26)));
      pty.input.write(sent);
      const { trouble } = await until(service, (found) => found.trouble !== null, signal);
      assert.match(trouble ?? "", /bytes wait for board a, and no more are read/);
      const { waitingBytes } = await untilFigures(service, (figures) => figures.waitingBytes > 0, signal);
      assert.ok(waitingBytes <= 8192 + 65_536);
      await service.lease("b", 1, signal);
      await service.settle("b", 2, signal);
      lab.boards.a.reads = true;
      await read.b.until(() => read.a.text.length + read.b.text.length >= sent.length, signal);
      assert.ok(read.a.text.length < 300_000, `a board that hangs has ${read.a.text.length} bytes`);
      assert.equal(read.a.text + read.b.text, sent.toString());
    },
  );

  onLine(
    "boards and a peer that flood: memory keeps to a bound, and the holder is served",
    async (lab, signal) => {
      const peer = join(lab.directory, "feed");
      const server = createServer((socket) => {
        socket.on("error", () => undefined);
        const send = (): void => {
          while (socket.writable && socket.write(Buffer.alloc(65_536, "p")));
        };
        socket.on("drain", send);
        socket.on("data", () => undefined);
        send();
      });
      server.listen(peer);
      await once(server, "listening");
      const outside = { kind: "connect", endpoint: { path: peer } } as const;
      const service = await lab.begin("a", signal, { name: "feed", outside });
      const flood = setInterval(() => {
        for (const board of ["a", "b"] as const)
          void lab.boards[board].send(Buffer.alloc(65_536, board)).catch(() => undefined);
      }, 1);
      let got = 0;
      const enough = Promise.withResolvers<void>();
      lab.boards.a.onBytes = (bytes) => {
        got += bytes.length;
        if (got > 20_000_000) enough.resolve();
      };
      await enough.promise;
      const started = performance.now();
      await service.lease("b", 1, signal);
      await service.settle("b", 2, signal);
      assert.ok(performance.now() - started < 5000);
      clearInterval(flood);
      const status = await readFile(`/proc/${await lab.brokerPid()}/status`, "utf8");
      assert.ok(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) < 200_000, status);
      server.close();
      await service.tearDown(signal);
    },
  );

  onLine(
    "what the old holder had sent leaves first, also through a line that is stuck meanwhile",
    async (lab, signal) => {
      const pty = await lab.plug();
      const service = await lab.begin("a", signal);
      const out = new Reading();
      pty.output.on("data", (bytes: Buffer) => out.push(bytes));
      pty.process.kill("SIGSTOP");
      // More than the terminal and the broker hold: the last of it is in the board's socket.
      let [taken, sentBytes] = [Promise.resolve(), 0];
      while (lab.boards.a.stuckBytes === 0) {
        sentBytes += 1000;
        taken = lab.boards.a.send(Buffer.alloc(1000, "o"));
        // Full is full until half of it has left: the terminal may have taken a little more since.
        if (sentBytes % 100_000 === 0)
          await untilFigures(service, ({ leavingBytes }) => leavingBytes > 65_536 / 2, signal);
      }
      // The kernel did not take the last piece, or not all of it.
      sentBytes -= 1000;
      await service.lease("b", 1, signal);
      const started = Date.now();
      const { remarks: soon } = await service.drain("a", { sinceMs: started, atOnce: true }, signal);
      assert.match(soon[0] ?? "", /bytes of board a still wait for line plc/);
      await service.settle("b", 2, signal);
      await lab.boards.b.send(Buffer.from("new"));
      const drained = service.drain("a", { sinceMs: started }, signal);
      // It goes the same way, after an inspect of its own: two answers later it has begun.
      for (const _ of [1, 2]) await service.inspect();
      pty.process.kill("SIGCONT");
      const { finished, left, remarks } = await drained;
      assert.deepEqual({ left, remarks }, { left: 0, remarks: [] });
      assert.ok(finished > 65_536 / 2);
      await out.until(() => out.text.endsWith("new"), signal);
      await taken;
      const through = out.text.length - 3;
      assert.ok(through >= sentBytes, `${through} of ${sentBytes}`);
      assert.equal(out.text, `${"o".repeat(through)}new`);
      const all = (refusedBytes: number): boolean => refusedBytes + through === sentBytes + 1000;
      const { lostBytes } = await untilFigures(service, ({ refusedBytes }) => all(refusedBytes), signal);
      assert.equal(lostBytes, 0);
    },
  );

  onLine(
    "streams: one peer at a time, by unix socket or TCP, and back again when the other side is",
    async (lab, signal) => {
      const read = readings(lab);
      const far = new StandInBoard(join(lab.directory, "feed"));
      const out = new Reading();
      far.onBytes = (bytes) => out.push(bytes);
      const service = await lab.begin("a", signal, {
        outside: { kind: "connect", endpoint: { path: far.port.path } },
      });
      assert.match((await service.inspect()).trouble ?? "", /feed is not there/);
      await lab.boards.a.send(Buffer.from("waits for a peer, "));
      await far.boot();
      await out.is("waits for a peer, ", signal);
      await far.send(Buffer.from("hello "));
      await read.a.is("hello ", signal);
      await far.die();
      await until(service, ({ trouble }) => trouble !== null, signal);
      await lab.boards.a.send(Buffer.from("and for the next"));
      await far.boot();
      await out.is("waits for a peer, and for the next", signal);
      await far.die();

      const endpoint = { host: "127.0.0.1", port: await freePort() };
      const listening = lab.service({ outside: { kind: "listen", endpoint } });
      await listening.setUp(signal);
      assert.match((await listening.inspect()).trouble ?? "", /nobody is connected to 127\.0\.0\.1:/);
      const peer = connect(endpoint);
      peer.write("by TCP");
      await read.a.is("hello by TCP", signal);
      const second = connect(endpoint);
      second.on("error", () => undefined);
      await once(second, "close");
      assert.equal((await listening.inspect()).trouble, null);
      peer.destroy();
      await until(listening, ({ trouble }) => trouble !== null, signal);
      const third = connect(endpoint);
      third.write("!");
      await read.a.is("hello by TCP!", signal);
      third.destroy();

      const taken = lab.service({ name: "second", outside: { kind: "listen", endpoint } });
      await taken.setUp(signal);
      assert.match((await taken.inspect()).trouble ?? "", /in use by another program/);
    },
  );

  onLine(
    "what lies in a board's directory cannot make the broker open anything else",
    async (lab, signal) => {
      await lab.plug();
      const { path, uid } = lab.boards.a.port;
      const secret = await StandInBoard.boot(join(lab.directory, "secret"));
      await lab.boards.a.die();
      await symlink(secret.port.path, path);
      const service = await lab.begin("a", signal);
      const told = async (): Promise<string> => (await service.inspect()).trouble ?? "";
      assert.match(await told(), /a is not a socket of user/);
      await rm(path);
      await link(lab.device, path);
      await service.attach("a", signal);
      assert.match(await told(), /a is not a socket of user/);
      assert.equal(secret.connected, false);
      if (process.getuid?.() !== 0) return;
      await lab.boards.a.boot();
      await chown(path, 12_345, 12_345);
      await service.attach("a", signal);
      assert.match(await told(), new RegExp(`a is not a socket of user ${uid}`));
      assert.equal(lab.boards.a.connected, false);
      await secret.die();
    },
  );
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { readonly port: number };
  server.close();
  await once(server, "close");
  return port;
}
