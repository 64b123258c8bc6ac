/** The way of a bundle from a path or a stream into a slot, with the real programs and a real disk. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { constants, createReadStream, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { after, before, beforeEach, test } from "node:test";
import type { SignedBundle } from "../../src/bundle/bundle.ts";
import { readSignedBundle } from "../../src/bundle/read.ts";
import type { Acceptance, BundleSource } from "../../src/delivery/delivery.ts";
import { LocalDelivery } from "../../src/delivery/local.ts";
import { DirectorySlot } from "../../src/slot/directory.ts";
import type { InstallProgress } from "../../src/slot/slot.ts";
import { makeTestBundle, type TestBundle, testCompatible, trustOf } from "../fixtures/bundles.ts";
import { makeSigningFixture, type SigningFixture } from "../fixtures/signing.ts";

const at = (path: string): BundleSource => ({ kind: "path", path });
const roomy = 1_000_000_000;
const acceptance: Acceptance = { compatible: testCompatible, floor: null, failedVersions: [], force: false };
const signal = new AbortController().signal;
const ignore = (): void => undefined;
let directory: string;
let signing: SigningFixture;
let made: TestBundle;
let bundle: SignedBundle;
/** Fresh for each test. */
let state: string;
let tests = 0;

before(async () => {
  directory = await mkdtemp(`${tmpdir()}/twinboard-install-`);
  signing = await makeSigningFixture(directory);
  made = await makeTestBundle(directory, signing.good, { rootfsBytes: 3_000_000 });
  bundle = await readSignedBundle(made.path, trustOf(signing.good), signal);
});

beforeEach(async () => {
  state = `${directory}/state-${tests++}`;
  await mkdir(state);
});

after(async () => rm(directory, { recursive: true, force: true }));

const delivery = (maxBundleBytes = roomy): LocalDelivery =>
  new LocalDelivery({ directory: state, trust: trustOf(signing.good), maxBundleBytes });

test("a slot holds what was put into the bundle, under names of its own", async () => {
  await mkdir(`${state}/slot`);
  await writeFile(`${state}/slot/initrd`, "of the software before");
  await symlink(made.path, `${state}/slot/rootfs`);
  const seen: InstallProgress[] = [];
  const slot = new DirectorySlot(`${state}/slot`, roomy);
  const content = await slot.install(bundle, (progress) => seen.push(progress), signal);
  assert.equal(content.version, "1.0.0");
  assert.equal(content.digest, bundle.digest);
  assert.equal(content.kernelArguments, "console=ttyS0 quiet");
  assert.deepEqual((await readdir(`${state}/slot`)).toSorted(), ["kernel", "rootfs"]);
  for (const [label, path] of Object.entries(content.images)) {
    assert.equal(path, `${state}/slot/${label}`);
    assert.ok(made.images[label]?.equals(await readFile(path)), label);
  }
  const last = seen.at(-1);
  assert.ok(last !== undefined && last.bytes === last.totalBytes);
  assert.ok(seen.every(({ bytes }, i) => bytes > (seen[i - 1]?.bytes ?? 0)));
  assert.deepEqual(await slot.install(bundle, ignore, signal), content, "it may be repeated");
  assert.equal((await readSignedBundle(made.path, trustOf(signing.good), signal)).digest, bundle.digest);
});

/** What each dd does with a file that it has open, the class that it has of the disk, and its rank on the processor (proc(5)). */
function copiersOf(path: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)))
    try {
      const [, name, rest = ""] = /\((.*)\) (.*)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
      if (name !== "dd") continue;
      const open = readdirSync(`/proc/${pid}/fd`).find(
        (fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === path,
      );
      if (open === undefined) continue;
      const [, flags] = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${open}`, "utf8")) ?? [];
      const does = (Number.parseInt(flags ?? "", 8) & 3) === constants.O_RDONLY ? "reads" : "writes";
      const disk = execFileSync("ionice", ["-p", pid], { encoding: "utf8" }).trim();
      // One that is ending has no class any more, and this fails.
      readlinkSync(`/proc/${pid}/fd/${open}`);
      found.push(`${does}: ${disk}, nice ${rest.split(" ")[16]}`);
    } catch {
      // It has ended meanwhile.
    }
  return found;
}

test("a slot is written and read back in the idle class of the disk, at the lowest rank on the processor", async () => {
  const seen = new Set<string>();
  const slot = new DirectorySlot(`${state}/slot`, roomy);
  let steps = 0;
  const look = (): void => {
    // A look takes as long as many steps.
    if (steps++ % 8 !== 0) return;
    for (const copier of copiersOf(`${state}/slot/rootfs`)) seen.add(copier);
  };
  await slot.install(bundle, look, signal);
  assert.deepEqual(seen, new Set(["writes: idle, nice 19", "reads: idle, nice 19"]));
});

test("a bundle that does not fit, or has no place, leaves the slot as it is", async () => {
  await mkdir(`${state}/slot`);
  await writeFile(`${state}/slot/rootfs`, "before");
  const small = new DirectorySlot(`${state}/slot`, 3_000_000);
  await assert.rejects(small.install(bundle, ignore, signal), { code: "bundle-too-large" });
  const slot = new DirectorySlot(`${state}/slot`, Number.MAX_SAFE_INTEGER);
  const changed = (change: object): SignedBundle => ({
    ...bundle,
    manifest: {
      ...bundle.manifest,
      images: bundle.manifest.images.map((image) => ({ ...image, ...change })),
    },
  });
  await assert.rejects(slot.install(changed({ sizeBytes: 2 ** 50 }), ignore, signal), {
    code: "too-little-disk",
  });
  await assert.rejects(slot.install(changed({ class: "appfs" }), ignore, signal), {
    code: "bundle-manifest-invalid",
  });
  const damaged = await readFile(made.path);
  damaged.writeUInt8(damaged.readUInt8(2_000_000) ^ 1, 2_000_000);
  const path = `${state}/damaged.raucb`;
  await writeFile(path, damaged);
  await assert.rejects(slot.install({ ...bundle, path }, ignore, signal), { code: "bundle-payload-corrupt" });
  assert.equal(await readFile(`${state}/slot/rootfs`, "utf8"), "before");
});

test("a bundle that somebody else could change meanwhile is not installed", async () => {
  const path = `${state}/open.raucb`;
  await writeFile(path, await readFile(made.path));
  await chmod(path, 0o666);
  const slot = new DirectorySlot(`${state}/slot`, roomy);
  await assert.rejects(slot.install({ ...bundle, path }, ignore, signal), { code: "bundle-unreadable" });
});

test("a bundle that changes while it is installed does not count as installed", async () => {
  const path = `${state}/changing.raucb`;
  await writeFile(path, await readFile(made.path));
  const slot = new DirectorySlot(`${state}/slot`, roomy);
  let changed: Promise<void> | undefined;
  const change = ({ bytes }: InstallProgress): void => {
    if (bytes > bundle.payloadBytes) changed ??= writeFile(path, "x", { flag: "a" });
  };
  await assert.rejects(slot.install({ ...bundle, path }, change, signal), { code: "bundle-payload-corrupt" });
  await changed;
});

test("images that are not those of the signed manifest are refused", async () => {
  const [kernel, rootfs] = bundle.manifest.images;
  assert.ok(kernel !== undefined && rootfs !== undefined);
  const slot = new DirectorySlot(`${state}/slot`, roomy);
  const wrong = [
    { sizeBytes: 5000 },
    { sizeBytes: 5002 },
    { filename: "missing" },
    { sha256: "0".repeat(64) },
  ];
  for (const change of wrong) {
    const manifest = { ...bundle.manifest, images: [{ ...kernel, ...change }, rootfs] };
    const install = slot.install({ ...bundle, manifest }, ignore, signal);
    await assert.rejects(install, { code: "bundle-payload-corrupt" }, JSON.stringify(change));
  }
});

test("an installation can be cancelled at any moment, and repeated after it", async () => {
  const slot = new DirectorySlot(`${state}/slot`, roomy);
  const total = bundle.payloadBytes + 2 * 3_005_001;
  for (const part of [0, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95]) {
    const stop = new AbortController();
    const cancel = ({ bytes }: InstallProgress): void => {
      if (bytes >= part * total) stop.abort(new Error("cancelled by the test"));
    };
    await assert.rejects(slot.install(bundle, cancel, stop.signal), /cancelled by the test/, `at ${part}`);
  }
  const content = await slot.install(bundle, ignore, signal);
  assert.ok(made.images["rootfs"]?.equals(await readFile(content.images["rootfs"] ?? "")));
});

test("a slot that cannot be written says so", async () => {
  await writeFile(`${state}/file`, "");
  const slot = new DirectorySlot(`${state}/file`, roomy);
  await assert.rejects(slot.install(bundle, ignore, signal), { code: "slot-write-failed" });
  await mkdir(`${state}/slot/rootfs`, { recursive: true });
  const blocked = new DirectorySlot(`${state}/slot`, roomy);
  await assert.rejects(blocked.install(bundle, ignore, signal), { code: "slot-write-failed" });
});

test("a delivered bundle is a private copy that can be opened again and forgotten", async () => {
  const local = delivery();
  const delivered = await local.deliver({ kind: "path", path: made.path }, acceptance, ignore, signal);
  assert.notEqual(delivered.path, made.path);
  assert.ok(delivered.path.startsWith(`${state}/`));
  const { mode } = await stat(delivered.path);
  assert.equal(mode & 0o777, 0o600);
  assert.equal((await stat(`${state}/delivery`)).mode & 0o777, 0o700);
  assert.equal(delivered.digest, bundle.digest);
  const again = await delivery().reopen(delivered.path, delivered.digest, signal);
  assert.deepEqual(again, delivered);
  await assert.rejects(delivery().reopen(delivered.path, "0".repeat(64), signal), {
    code: "bundle-unreadable",
  });
  await assert.rejects(delivery().reopen(made.path, bundle.digest, signal), { code: "bundle-unreadable" });
  await local.forget();
  await local.forget();
  await assert.rejects(local.reopen(delivered.path, delivered.digest, signal), { code: "bundle-unreadable" });
  assert.deepEqual(await readdir(`${state}/delivery`), []);
});

test("a bundle comes as a stream", async () => {
  const { size } = await stat(made.path);
  for (const known of [{}, { sizeBytes: size }]) {
    const stream = createReadStream(made.path);
    const seen: number[] = [];
    const source = { kind: "stream", stream, ...known } as const;
    const delivered = await delivery().deliver(source, acceptance, ({ bytes }) => seen.push(bytes), signal);
    assert.equal(delivered.digest, bundle.digest);
    assert.equal(seen.at(-1), size);
  }
});

test("what is not accepted is refused by its own code, and nothing of it stays", async () => {
  const text = `${state}/text`;
  await writeFile(text, "no bundle");
  const foreign = await makeTestBundle(state, signing.stranger, { name: "foreign" });
  const good = at(made.path);
  const streamed = { kind: "stream", stream: createReadStream(made.path, { end: 99_999 }) } as const;
  const short = { ...streamed, stream: createReadStream(made.path, { end: 99_999 }), sizeBytes: 100_001 };
  const attempts = [
    [at(text), acceptance, "bundle-not-a-bundle"],
    [at(`${state}/missing`), acceptance, "bundle-unreadable"],
    [at(foreign.path), acceptance, "bundle-signer-untrusted"],
    [streamed, acceptance, "bundle-truncated"],
    [short, acceptance, "bundle-truncated"],
    [good, { ...acceptance, compatible: "another" }, "bundle-incompatible"],
    [good, { ...acceptance, floor: "1.0.1" }, "bundle-below-floor"],
    [good, { ...acceptance, floor: "1.0.1", force: true }, "bundle-below-floor"],
    [good, { ...acceptance, failedVersions: ["1.0.0"] }, "bundle-version-failed"],
  ] as const;
  for (const [source, wanted, code] of attempts) {
    await assert.rejects(delivery().deliver(source, wanted, ignore, signal), { code });
    assert.deepEqual(await readdir(`${state}/delivery`), [], code);
  }
  const again = { ...acceptance, failedVersions: ["1.0.0"], floor: "1.0.0", force: true };
  await delivery().deliver(good, again, ignore, signal);
  await assert.rejects(delivery(1000).deliver(good, acceptance, ignore, signal), {
    code: "bundle-too-large",
  });
});

test("a sender that hangs does not hold a delivery that is cancelled", async () => {
  const stop = new AbortController();
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(1000);
    stop.abort(new Error("cancelled by the test"));
    await new Promise(() => undefined);
  }
  const source = { kind: "stream", stream: stream() } as const;
  await assert.rejects(delivery().deliver(source, acceptance, ignore, stop.signal), /cancelled by the test/);
  assert.deepEqual(await readdir(`${state}/delivery`), []);
});
