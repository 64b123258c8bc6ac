/** What `twinboard check` finds of serial lines and streams. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { lineFindings } from "../../src/service/line/host.ts";
import type { LineSpec } from "../../src/service/line/spec.ts";
import type { Finding } from "../../src/system/finding.ts";
import { LineLab, serial } from "../fixtures/line/lab.ts";

const limitMs = 20_000;
/** A terminal that nobody has open, until its input ends. */
const idleTerminal = `
import os, sys
_, device = os.openpty()
print(os.ttyname(device), flush=True)
os.close(device)
sys.stdin.read()
`;

async function found(lab: LineLab, outside: LineSpec["outside"]): Promise<Finding> {
  const findings = await lineFindings(lab.names, [{ name: "plc", bufferBytes: 1024, outside }]);
  assert.deepEqual(
    findings.map(({ where }) => where),
    ["services.plc"],
  );
  return findings[0] as Finding;
}

const device = (path: string): LineSpec["outside"] => ({ ...serial, device: path });

test("a device that is missing is a warning; what is no serial line is an error", {
  timeout: limitMs,
}, async () => {
  await using lab = await LineLab.make();
  const missing = await found(lab, device(lab.device));
  assert.equal(missing.severity, "warning");
  assert.match(missing.what, /line is not there$/);
  const file = join(lab.directory, "file");
  await writeFile(file, "");
  for (const [path, what] of [
    [file, /is no serial device$/],
    ["/dev/null", /is no serial device$/],
    ["/dev/tty", /is a console of the screen$/],
  ] as const) {
    const { severity, error, what: said } = await found(lab, device(path));
    assert.deepEqual([severity, error?.code], ["error", "config-invalid"]);
    assert.match(said, what);
  }
  assert.deepEqual(await lineFindings(lab.names, []), []);
});

test("who has the device open, or locked, is named; our own broker is nobody else", {
  timeout: limitMs,
  skip: process.geteuid?.() === 0 ? false : "needs root to see what other processes have open",
}, async ({ signal }) => {
  await using lab = await LineLab.make();
  const pty = await lab.plug();
  const inUse = await found(lab, device(lab.device));
  assert.equal(inUse.severity, "warning");
  assert.match(inUse.what, /process \d+ \(socat .*\) has .*line open/);
  await pty.pull();
  const idle = spawn("python3", ["-c", idleTerminal], { stdio: ["pipe", "pipe", "inherit"] });
  const [path] = (await once(idle.stdout, "data", { signal })) as [Buffer];
  await symlink(path.toString().trim(), lab.device);
  assert.equal((await found(lab, device(lab.device))).severity, "ok");
  const service = await lab.begin("a", signal);
  assert.equal((await service.inspect()).trouble, null);
  assert.equal((await found(lab, device(lab.device))).severity, "ok");
  await service.tearDown(signal);

  const named = join(lab.directory, `twinboard-test-${process.pid}`);
  await rename(lab.device, named);
  const lock = `/var/lock/LCK..twinboard-test-${process.pid}`;
  await writeFile(lock, `${String(process.pid).padStart(10)}\n`);
  try {
    const locked = await found(lab, device(named));
    assert.equal(locked.severity, "warning");
    assert.match(locked.what, new RegExp(`process ${process.pid} has .*: ${lock.replaceAll(".", "\\.")}`));
    const held = lab.service({ outside: device(named) });
    await held.setUp(signal);
    assert.match((await held.inspect()).trouble ?? "", /is in use: process \d+ has the lock/);
    await held.tearDown(signal);
    // Of a program that has ended.
    await writeFile(lock, "2147483647\n");
    assert.equal((await found(lab, device(named))).severity, "ok");
  } finally {
    await rm(lock);
  }
  idle.kill();
  await once(idle, "exit");
});

test("a stream's address that somebody has is an error; its own broker is nobody else", {
  timeout: limitMs,
}, async ({ signal }) => {
  await using lab = await LineLab.make();
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { readonly port: number };
  const outside = { kind: "listen", endpoint: { host: "127.0.0.1", port } } as const;
  const { severity, error, what } = await found(lab, outside);
  assert.deepEqual([severity, error?.code], ["error", "address-in-use"]);
  assert.match(what, new RegExp(`listens on port ${port} of 127\\.0\\.0\\.1`));
  server.close();
  await once(server, "close");
  assert.equal((await found(lab, outside)).severity, "ok");
  const service = lab.service({ outside });
  await service.setUp(signal);
  assert.equal((await found(lab, outside)).severity, "ok");
  await service.tearDown(signal);
  const nowhere = { kind: "listen", endpoint: { path: "/nonexistent/feed" } } as const;
  assert.equal((await found(lab, nowhere)).severity, "warning");
  assert.equal(
    (await found(lab, { kind: "connect", endpoint: { path: "/nonexistent/feed" } })).severity,
    "ok",
  );
});
