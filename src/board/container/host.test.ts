import assert from "node:assert/strict";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { mountPointFinding } from "./host.ts";

async function told(path: string): Promise<string> {
  const { severity, error, remedy } = await mountPointFinding(path);
  return `${severity} ${error?.code ?? ""} ${remedy}`.trim();
}

test("a directory to mount on that is missing, or is none, is told with what to do", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "mount-point-"));
  t.after(async () => await rm(directory, { recursive: true }));
  const at = (name: string): string => join(directory, name);
  await writeFile(at("file"), "");
  await symlink(directory, at("link"));
  for (const name of ["nothing", "file"])
    assert.equal(
      await told(at(name)),
      `error missing-mount-point make ${at(name)} a directory: an empty one is enough`,
    );
  for (const path of [directory, at("link")]) assert.equal(await told(path), "ok");
});
