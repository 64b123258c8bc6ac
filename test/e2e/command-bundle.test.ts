/** `twinboard bundle create` and `info`, on real files and with real signatures. */
import assert from "node:assert/strict";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { runCommand } from "../fixtures/command.ts";
import { makeSigningFixture, type SigningFixture } from "../fixtures/signing.ts";

let directory: string;
let signing: SigningFixture;
let bundle: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "twinboard-bundle-"));
  signing = await makeSigningFixture(directory);
  bundle = join(directory, "v1.raucb");
  await writeFile(join(directory, "kernel"), "a kernel");
  await writeFile(join(directory, "rootfs"), Buffer.alloc(300_000, 1));
});
after(() => rm(directory, { recursive: true }));

const create = (...more: string[]): string[] => {
  const images = [`kernel=${join(directory, "kernel")}`, `rootfs=${join(directory, "rootfs")}`];
  const { cert, key } = signing.good;
  const what = ["--compatible", "acme-gateway", "--version", "1.2.3", "--cert", cert, "--key", key];
  return ["bundle", "create", bundle, ...what, ...images.flatMap((image) => ["--image", image]), ...more];
};

test("create and info: what was put in is told, and how far it was read", async () => {
  const meta = ["--meta", "twinboard.kernel-arguments=quiet loglevel=3", "--description", "a test"];
  const made = await runCommand(create(...meta, "--json"));
  assert.equal(made.exitCode, 0, made.stderr);
  const { manifest } = JSON.parse(made.stdout) as { manifest: { version: string; meta: unknown } };
  assert.equal(manifest.version, "1.2.3");
  assert.deepEqual(manifest.meta, { twinboard: { "kernel-arguments": "quiet loglevel=3" } });

  const info = await runCommand(["bundle", "info", bundle, "--keyring", signing.good.keyring]);
  assert.equal(info.exitCode, 0, info.stderr);
  assert.match(info.stdout, /^compatible .* acme-gateway\nversion .* 1\.2\.3\ndescription .* a test\n/);
  assert.match(info.stdout, /\nimage rootfs .* 293\.0 KiB, SHA-256 [0-9a-f]{64}\n/);
  assert.match(info.stdout, /\nmeta twinboard\.kernel-arguments .* quiet loglevel=3\n/);
  assert.match(info.stdout, /The payload was NOT read: .* --verify reads it\.\n$/);
  const verified = await runCommand([
    "bundle",
    "info",
    bundle,
    "--keyring",
    signing.good.keyring,
    "--verify",
  ]);
  assert.match(verified.stdout, /The payload holds: every block of it was checked\.\n$/);
});

test("create --kinds: the manifest has it as RAUC has lists; what it lacks for a kind, or no kind, is refused", async () => {
  const container = ["--image", `rootfs-container=${join(directory, "rootfs")}`];
  const made = await runCommand(create(...container, "--kinds", "container, qemu", "--json"));
  assert.equal(made.exitCode, 0, made.stderr);
  const { manifest } = JSON.parse(made.stdout) as {
    manifest: { meta: unknown; images: { class: string }[] };
  };
  assert.deepEqual(manifest.meta, { twinboard: { kinds: "container;qemu;" } });
  assert.deepEqual(
    manifest.images.map((image) => image.class),
    ["kernel", "rootfs", "rootfs-container"],
  );
  for (const [more, told] of [
    [["--kinds", "qemu,jail"], /"jail" is no kind of board, only qemu, container/],
    [["--kinds", "qemu", "--image", `appfs=${join(directory, "rootfs")}`], /a slot has no class appfs/],
  ] as const) {
    const refused = await runCommand(create(...more));
    assert.equal(refused.exitCode, 2, refused.stdout);
    assert.match(refused.stderr, told);
  }
});

test("info: a payload that was changed is noticed with --verify only, a stranger's signature always", async () => {
  await runCommand(create());
  const file = await open(bundle, "r+");
  try {
    await file.write(Buffer.from([0xff]), 0, 1, 100);
  } finally {
    await file.close();
  }
  const keyring = ["--keyring", signing.good.keyring];
  assert.equal((await runCommand(["bundle", "info", bundle, ...keyring])).exitCode, 0);
  const verified = await runCommand(["bundle", "info", bundle, ...keyring, "--verify", "--json"]);
  assert.equal(verified.exitCode, 1);
  assert.equal(
    (JSON.parse(verified.stdout) as { error: { code: string } }).error.code,
    "bundle-payload-corrupt",
  );
  const stranger = await runCommand(["bundle", "info", bundle, "--keyring", signing.stranger.keyring]);
  assert.equal(stranger.exitCode, 2);
  assert.match(stranger.stderr, /^twinboard: the bundle's signer is not trusted/);
});

test("create: what is wrong on the command line is exit code 64, what is wrong with a file 2", async () => {
  for (const wrong of [
    ["--image", "rootfs"],
    ["--image", "kernel=x"],
    ["--meta", "novalue"],
    ["--meta", "a b.c=d"],
  ]) {
    const run = await runCommand(create(...wrong));
    assert.equal(run.exitCode, 64, wrong.join(" "));
    assert.match(run.stderr, /expected|already/, wrong.join(" "));
  }
  const run = await runCommand(create("--image", "initrd=/nonexistent/initrd"));
  assert.equal(run.exitCode, 2, run.stderr);
  assert.match(run.stderr, /\/nonexistent\/initrd/);
});
