/** `bin/twinboard` finds the Node that belongs to it, from wherever it is called. */
import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { run } from "../../src/system/process.ts";

const program = resolve(import.meta.dirname, "../../bin/twinboard");
let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "twinboard-launcher-"));
});
after(() => rm(directory, { recursive: true }));

/** A tree with the launcher and a main.ts, and a PATH whose `node` says that it is `version`. */
async function tree(version: string | undefined): Promise<{ program: string; env: { PATH: string } }> {
  const home = await mkdtemp(join(directory, "tree-"));
  for (const part of ["bin", "src", "path"]) await mkdir(join(home, part));
  await copyFile(program, join(home, "bin/twinboard"));
  if (version !== undefined) {
    const node = `#!/bin/sh\n[ "$1" = --version ] && echo ${version} || echo "ran $*"\n`;
    await writeFile(join(home, "path/node"), node, { mode: 0o755 });
  }
  for (const tool of ["sh", "dirname", "readlink"])
    await symlink(`/usr/bin/${tool}`, join(home, "path", tool));
  return { program: join(home, "bin/twinboard"), env: { PATH: join(home, "path") } };
}

test("links are followed, relative ones and links to links", async () => {
  await mkdir(join(directory, "a/b"), { recursive: true });
  await symlink(program, join(directory, "a/b/one"));
  await symlink("b/one", join(directory, "a/two"));
  const { stdout } = await run(join(directory, "a/two"), ["--version"], { cwd: tmpdir() });
  assert.match(stdout.toString(), /^\d+\.\d+\.\d+\n$/);
});

test("without a Node of its own the host's is taken, if it is new enough", async () => {
  const { program, env } = await tree("v24.1.0");
  const { stdout } = await run(program, ["status", "two words"], { env });
  assert.match(stdout.toString(), /^ran (?:--\S+ )+\/.*\/src\/main\.ts status two words\n$/);
});

test("an old Node, or none, is a clear message and exit code 2", async () => {
  const old = await tree("v20.19.0");
  const refused = await run(old.program, ["status"], { env: old.env, allowedExitCodes: [2] });
  assert.match(
    refused.stderr,
    /^twinboard: needs Node\.js 24 or later, and .*\/node is v20\.19\.0: run `npm ci` in \//,
  );
  const none = await tree(undefined);
  const lost = await run(none.program, ["status"], { env: none.env, allowedExitCodes: [2] });
  assert.equal(lost.exitCode, 2);
  assert.match(lost.stderr, /^twinboard: no Node\.js here: run `npm ci` in \//);
});
