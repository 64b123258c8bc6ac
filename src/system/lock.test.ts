import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { TwinboardError } from "../errors.ts";
import { takeLock } from "./lock.ts";

async function lockPath(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-lock-"));
  t.after(() => rm(directory, { recursive: true }));
  return join(directory, "state", "lock");
}

const refused = (pid: number) => (error: unknown) =>
  error instanceof TwinboardError &&
  error.code === "already-running" &&
  error.message.includes(`process ${pid}`);

test("the second is refused and told who holds it; after the release it may", async (t) => {
  const path = await lockPath(t);
  const first = await takeLock([path]);
  await assert.rejects(takeLock([path]), refused(process.pid));
  await first.release();
  const second = await takeLock([path]);
  await second.release();
});

test("of two locks either is enough to be refused, and a refusal keeps neither", async (t) => {
  const [one, two] = [await lockPath(t), await lockPath(t)];
  const both = await takeLock([one, two]);
  for (const path of [one, two]) await assert.rejects(takeLock([path]), refused(process.pid));
  await both.release();
  const second = await takeLock([two]);
  await assert.rejects(takeLock([one, two]), refused(process.pid));
  await (await takeLock([one])).release();
  await second.release();
});

test("a holder that is killed lets the lock go", async (t) => {
  const path = await lockPath(t);
  const program = `import { takeLock } from ${JSON.stringify(import.meta.resolve("./lock.ts"))};
    await takeLock([${JSON.stringify(path)}]); console.log("held"); setInterval(() => undefined, 1000);`;
  const holder = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data", { signal: AbortSignal.timeout(10_000) });
  await assert.rejects(takeLock([path]), refused(holder.pid ?? 0));
  holder.kill("SIGKILL");
  // Its child lets go when it reads the end of its stdin: soon, not at once.
  const deadline = performance.now() + 10_000;
  for (;;) {
    try {
      await (await takeLock([path])).release();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
  }
});
