import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { execFindings } from "./host.ts";

void test("a program is looked at, and not run", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-exec-"));
  t.after(() => rm(directory, { recursive: true }));
  const program = join(directory, "program");
  assert.match(await find(program), /^error: a program is missing.*program is not there/);
  assert.match(await find(directory), /^error: .*is no file/);
  await writeFile(program, `#!/bin/sh\ntouch ${directory}/ran\n`, { mode: 0o644 });
  assert.match(await find(program), /^error: .*is not executable/);
  await chmod(program, 0o777);
  assert.match(await find(program), /^warning: the daemon runs .*program can be changed by others/);
  await chmod(program, 0o755);
  const owner = process.geteuid?.() === 0 ? /^ok: .*can be run/ : /^warning: /;
  assert.match(await find(program), owner);
  await chmod(directory, 0o777);
  assert.match(await find(program), /^warning: /);
});

async function find(path: string): Promise<string> {
  const [finding] = await execFindings([{ name: "relay", exec: [path] }]);
  return `${finding?.severity}: ${finding?.what}`;
}
