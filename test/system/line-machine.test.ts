/** A real machine at its end of the lines: its programs read and write them, whatever kind of port they see. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { lineSocket } from "../../src/board/qemu/line-ports.ts";
import { letGoOfLines } from "../../src/service/line/let-go.ts";
import { LineService } from "../../src/service/line/line-service.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { makeQemuSubject } from "../fixtures/board/qemu-subject.ts";
import { StandInBoard } from "../fixtures/line/board.ts";
import { Reading, serial, until } from "../fixtures/line/lab.ts";
import { Pty } from "../fixtures/line/pty.ts";

const skip = await whyNoMachines();
const limitMs = 100_000;
const lines = [
  { name: "plc", port: "tty" },
  { name: "meter", port: "tty" },
  { name: "feed", port: "virtio" },
] as const;

void test("a guest reads and writes its lines, keeps out of them while it does not hold, and has them again after its next boot", {
  skip,
  timeout: limitMs + 5000,
}, async (t) => {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(limitMs)]);
  await using subject = await makeQemuSubject({ lines });
  const { board, options, software } = subject;
  const { names, user } = options;
  const directory = await mkdtemp(join(tmpdir(), "line-"));
  await using ends = new AsyncDisposableStack();
  ends.defer(async () => await rm(directory, { recursive: true }));
  ends.defer(async () => await letGoOfLines(names, { keep: [] }, AbortSignal.timeout(10_000)));
  const made = [];
  for (const { name } of lines) {
    const pty = ends.use(await Pty.plug(join(directory, name)));
    const other = ends.use(await StandInBoard.boot(join(directory, `b-${name}`)));
    const out = new Reading();
    const heard = new Reading();
    pty.output.on("data", (bytes: Buffer) => out.push(bytes));
    other.onBytes = (bytes) => heard.push(bytes);
    const service = new LineService({
      names,
      line: { name, bufferBytes: 65_536, outside: { ...serial, device: pty.device } },
      ports: { a: { path: lineSocket(names, "a", name), uid: user.uid }, b: other.port },
    });
    await service.setUp(signal);
    for (const each of ["a", "b"] as const) await service.attach(each, signal);
    await service.settle("a", 1, signal);
    made.push({ name, pty, out, heard, service });
  }

  await board.start(software(), signal);
  await board.setPriority("service");
  await board.ready(signal);
  const text = "0123456789abcdef".repeat(64);
  for (const { name, pty, out, service } of made) {
    await until(service, ({ trouble }) => trouble === null, signal);
    pty.input.write(`${name} ${text}`);
    await out.is(`${name} ${text}`, signal);
  }
  for (const { pty, heard, service } of made) {
    await service.lease("b", 1, signal);
    await service.settle("b", 2, signal);
    pty.input.write("for b");
    await heard.is("for b", signal);
  }

  // A dormant board is not reached: it takes no processor time.
  await board.pause(signal);
  const before = await board.usage();
  for (let i = 0; i < 20; i++) {
    for (const { pty, heard, service } of made) {
      const told = heard.text.length;
      pty.input.write("more for b");
      await heard.until(() => heard.text.length > told, signal);
      assert.equal((await service.inspect()).holder, "b");
    }
  }
  assert.deepEqual(await board.usage(), before);

  await board.stop(signal);
  await board.start(software(), signal);
  await board.setPriority("service");
  await board.ready(signal);
  for (const { name, pty, out, service } of made) {
    await service.settle("a", 3, signal);
    await until(service, ({ trouble }) => trouble === null, signal);
    const told = out.text.length;
    pty.input.write("once more");
    await out.until(() => out.text.slice(told) === "once more", signal);
    assert.equal(out.text, `${name} ${text}once more`);
  }
});
