import assert from "node:assert/strict";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { outputOf } from "./output.ts";

async function all(chunks: AsyncIterable<Buffer>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += chunk.toString();
  return text;
}

test("output of any length comes whole", async () => {
  assert.equal((await all(outputOf("seq", ["200000"]))).length, 1_288_895);
});

test("a program gets the descriptors that it is given", async () => {
  const directory = await mkdtemp(`${tmpdir()}/twinboard-output-`);
  await writeFile(`${directory}/file`, "through a descriptor");
  const file = await open(`${directory}/file`);
  try {
    assert.equal(
      await all(outputOf("cat", ["/proc/self/fd/3"], { files: [file.fd] })),
      "through a descriptor",
    );
  } finally {
    await file.close();
    await rm(directory, { recursive: true });
  }
});

test("a program that fails, is missing or says nothing has its own code", async () => {
  const failing = all(outputOf("cat", ["/nonexistent"]));
  await assert.rejects(failing, { code: "command-failed", message: /exit code 1: .*nonexistent/ });
  await assert.rejects(all(outputOf("no-such-program", [])), { code: "missing-program" });
  await assert.rejects(all(outputOf("sleep", ["60"], { silenceMs: 20 })), { code: "deadline-passed" });
});

test("the time in which the caller is busy is not silence", async ({ mock }) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let bytes = 0;
  for await (const chunk of outputOf("seq", ["100000"], { silenceMs: 1000 })) {
    mock.timers.tick(1001);
    bytes += chunk.length;
  }
  assert.equal(bytes, 588_895);
});

test("a signal, or a caller that stops, ends the program", async () => {
  const stop = new AbortController();
  const endless = outputOf("yes", [], { signal: stop.signal });
  const reading = (async (): Promise<void> => {
    for await (const _ of endless) stop.abort(new Error("stop"));
  })();
  await assert.rejects(reading, /stop/);
  for await (const chunk of outputOf("yes", [])) if (chunk.length > 0) break;
  await assert.rejects(
    all(outputOf("yes", [], { signal: AbortSignal.abort(new Error("before")) })),
    /before/,
  );
});
