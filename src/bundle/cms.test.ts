import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { verifyCms } from "./cms.ts";

test("while a signature is verified there is no file of it that a kill could leave", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-verify-"));
  t.after(() => rm(directory, { recursive: true }));
  const temporary = join(directory, "tmp");
  await mkdir(temporary);
  // Tells what is there in the middle of it.
  const openssl = join(directory, "openssl");
  await writeFile(openssl, `#!/bin/sh\nls -A '${temporary}' >'${directory}/seen'\nexit 4\n`);
  await chmod(openssl, 0o755);
  const { PATH: path, TMPDIR: usual } = process.env;
  process.env["PATH"] = `${directory}:${path ?? ""}`;
  process.env["TMPDIR"] = temporary;
  t.after(() => {
    process.env["PATH"] = path;
    if (usual === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = usual;
  });
  const signal = AbortSignal.timeout(30_000);
  await assert.rejects(verifyCms(Buffer.from("no CMS"), { keyring: openssl }, signal), {
    code: "bundle-signature-invalid",
  });
  assert.equal(await readFile(join(directory, "seen"), "utf8"), "");
});
