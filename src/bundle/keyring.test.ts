import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../system/process.ts";
import { judge, keyringFinding } from "./keyring.ts";

const dayMs = 86_400_000;

/** The PEM of an authority that is valid for so many days from now on. */
async function authority(directory: string, name: string, days: number): Promise<string> {
  const path = join(directory, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", `${path}.key`];
  await run("openssl", ["req", "-x509", ...key, "-subj", `/CN=${name}`, "-days", String(days), "-out", path]);
  return path;
}

test("a keyring is worth its certificates that are valid at the time", async () => {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-keyring-"));
  try {
    const path = await authority(directory, "Acme", 90);
    const pem = await readFile(path, "utf8");
    const longer = await readFile(await authority(directory, "Longer", 900), "utf8");
    const now = Date.now();
    const at = (days: number, text = pem) => judge(path, text, now + days * dayMs);
    assert.match(
      (await keyringFinding(path, now)).what,
      /^1 certificate is valid, up to \d{4}-\d\d-\d\d at least$/,
    );
    assert.match(at(0, pem + longer).what, /^2 certificates are valid/);
    const verdicts = [at(0), at(61), at(91), at(-1), at(61, pem + longer), at(91, pem + longer)];
    assert.deepEqual(
      verdicts.map(({ severity }) => severity),
      ["ok", "warning", "warning", "warning", "warning", "ok"],
    );
    assert.match(at(61).what, /^soon no longer valid: CN=Acme \(/);
    assert.match(at(91).what, /^no bundle can be accepted: .* none that is valid now: CN=Acme \(/);
    const damaged = pem.replace(/[A-Za-z]{8}\n/, "########\n");
    assert.match(at(0, damaged).what, /holds no certificate$/);
    assert.match(at(0, pem + damaged).what, /holds 1 that cannot be read$/);
    for (const text of ["", "x", "-----BEGIN CERTIFICATE-----"])
      assert.match(at(0, text).what, /^no bundle can be accepted: .* holds no certificate$/);
    const nowhere = await keyringFinding(join(directory, "nowhere"), now);
    assert.equal(nowhere.severity, "warning");
    assert.match(nowhere.what, /no bundle can be accepted: ENOENT/);
  } finally {
    await rm(directory, { recursive: true });
  }
});
