/** Interoperation with RAUC's own program, in both directions. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import { readSignedBundle } from "../../src/bundle/read.ts";
import { TwinboardError } from "../../src/errors.ts";
import { DirectorySlot } from "../../src/slot/directory.ts";
import { type RunResult, run } from "../../src/system/process.ts";
import { makeTestBundle, testCompatible, trustOf } from "../fixtures/bundles.ts";
import { makeSigningFixture, type SigningFixture } from "../fixtures/signing.ts";

/** Two levels of the hash tree: more than 128 blocks that do not compress. */
const rootfsBytes = 1_000_001;
const skip = await run("rauc", ["--version"]).then(
  () => false,
  (error: unknown) => {
    if (error instanceof TwinboardError && error.code === "missing-program") return "rauc is not installed";
    throw error;
  },
);
const signal = new AbortController().signal;
let directory: string;
let signing: SigningFixture;

before(async () => {
  directory = await mkdtemp(`${tmpdir()}/twinboard-rauc-`);
  signing = await makeSigningFixture(directory);
});

after(async () => rm(directory, { recursive: true, force: true }));

const rauc = (...args: string[]): Promise<RunResult> =>
  run("rauc", ["--keyring", signing.good.keyring, ...args]);

test("rauc info accepts and reads what we make", { skip }, async () => {
  const { path, images } = await makeTestBundle(directory, signing.good, { rootfsBytes });
  const { stdout } = await rauc("info", "--output-format=json", path);
  const info = JSON.parse(stdout.toString()) as Record<string, unknown>;
  assert.equal(info["compatible"], testCompatible);
  assert.equal(info["version"], "1.0.0");
  const listed = info["images"] as Record<string, { size: number }>[];
  assert.deepEqual(
    listed.flatMap((image) => Object.entries(image).map(([label, { size }]) => [label, size])),
    Object.entries(images).map(([label, content]) => [label, content.length]),
  );
});

test("rauc extract checks our hash tree and finds the same bytes", { skip }, async () => {
  const { path, images } = await makeTestBundle(directory, signing.good, { rootfsBytes });
  await rauc("extract", path, `${directory}/extracted`);
  for (const [label, content] of Object.entries(images))
    assert.ok(content.equals(await readFile(`${directory}/extracted/${label}.img`)), label);
  const damaged = await readFile(path);
  damaged.writeUInt8(damaged.readUInt8(700_000) ^ 1, 700_000);
  await writeFile(`${directory}/damaged.raucb`, damaged);
  await assert.rejects(rauc("extract", `${directory}/damaged.raucb`, `${directory}/nothing`), {
    code: "command-failed",
  });
});

test("rauc takes the smallest bundle that we make", { skip }, async () => {
  const { path } = await makeTestBundle(directory, signing.good, { rootfsBytes: 1, name: "small" });
  await rauc("info", path);
  await rauc("extract", path, `${directory}/small`);
});

test("what rauc bundle makes is accepted and installed here with the same bytes", { skip }, async () => {
  const input = `${directory}/input`;
  await mkdir(input);
  const rootfs = randomBytes(rootfsBytes);
  await writeFile(`${input}/a root file system.ext4`, rootfs);
  await writeFile(`${input}/vmlinuz`, "a kernel");
  await writeFile(
    `${input}/manifest.raucm`,
    `[update]
compatible=${testCompatible}
version=2.0.0
description=from\\tRAUC
[bundle]
format=verity
[image.kernel]
filename=vmlinuz
[image.rootfs]
filename=a root file system.ext4
`,
  );
  const path = `${directory}/by-rauc.raucb`;
  await rauc("bundle", "--cert", signing.good.cert, "--key", signing.good.key, input, path);

  const bundle = await readSignedBundle(path, trustOf(signing.good), signal);
  assert.equal(bundle.manifest.version, "2.0.0");
  assert.equal(bundle.manifest.description, "from\tRAUC");
  const slot = new DirectorySlot(`${directory}/slot`, 10_000_000);
  const content = await slot.install(bundle, () => undefined, signal);
  assert.ok(rootfs.equals(await readFile(content.images["rootfs"] ?? "")));
});

test("what rauc bundle makes in the plain format is refused by that name", { skip }, async () => {
  const input = `${directory}/plain`;
  await mkdir(input);
  await writeFile(`${input}/rootfs.img`, "x".repeat(10_000));
  const manifest = [
    "[update]",
    `compatible=${testCompatible}`,
    "version=1",
    "[image.rootfs]",
    "filename=rootfs.img",
    "",
  ];
  await writeFile(`${input}/manifest.raucm`, manifest.join("\n"));
  const path = `${directory}/plain.raucb`;
  await rauc("bundle", "--cert", signing.good.cert, "--key", signing.good.key, input, path);
  await assert.rejects(readSignedBundle(path, trustOf(signing.good), signal), {
    code: "bundle-format-refused",
  });
});
