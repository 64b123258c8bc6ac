import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { containerFindings } from "./host.ts";
import { chooseRuntime } from "./runtime.ts";

/** Runs with these scripts of sh(1) as the only runtimes that there are. */
async function withRuntimes(
  scripts: Readonly<Record<string, string>>,
  action: () => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-runtime-"));
  const path = process.env["PATH"];
  try {
    for (const [name, script] of Object.entries(scripts)) {
      await writeFile(join(directory, name), `#!/bin/sh\n${script}\n`);
      await chmod(join(directory, name), 0o755);
    }
    process.env["PATH"] = directory;
    await action();
  } finally {
    process.env["PATH"] = path;
    await rm(directory, { recursive: true });
  }
}

async function refused(wanted: "auto" | "runc", detail: RegExp, remedy: string): Promise<void> {
  await assert.rejects(chooseRuntime(wanted), { code: "missing-program", detail, remedy });
  const findings = await containerFindings(wanted, AbortSignal.timeout(60_000));
  const found = findings.find(({ where }) => where === "boards.runtime");
  assert.deepEqual([found?.severity, found?.remedy], ["error", remedy]);
}

const good = 'echo "runc version 1.1.5"';

test("a runtime that fails, or does not tell its version, is none: the other is taken", async () => {
  for (const broken of ["exit 3", "echo garbage", "echo crun version 1.0"])
    await withRuntimes({ crun: broken, runc: good }, async () => {
      assert.deepEqual(await chooseRuntime("auto"), { name: "runc", version: "1.1.5" });
    });
});

test("where none is left, what is wrong with each is told", async () => {
  await withRuntimes({ crun: "echo oops >&2; exit 3" }, async () => {
    const remedy =
      "install crun 1.8.1 or later (Debian package crun), or runc 1.1.5 or later (Debian package runc)";
    await refused("auto", /^crun does not tell its version: .*oops.*, runc is not there$/, remedy);
  });
});

test("a runtime that was chosen and is too old, or is not there, is refused by its own name", async () => {
  const remedy = "install runc 1.1.5 or later (Debian package runc)";
  await withRuntimes(
    { runc: 'echo "runc version 1.0.0-rc95"', crun: 'echo "crun version 1.8.1"' },
    async () => {
      await refused("runc", /^runc 1\.0\.0 is too old$/, remedy);
    },
  );
  await withRuntimes({}, async () => await refused("runc", /^runc is not there$/, remedy));
});
