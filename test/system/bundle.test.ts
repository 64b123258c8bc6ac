/** Bundles made and read with the real mksquashfs and openssl: what a bundle says, and what becomes of every kind of damage. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import type { SignedBundle } from "../../src/bundle/bundle.ts";
import { createBundle } from "../../src/bundle/create.ts";
import { verifyPayload } from "../../src/bundle/payload.ts";
import { readSignedBundle } from "../../src/bundle/read.ts";
import { TwinboardError } from "../../src/errors.ts";
import { run } from "../../src/system/process.ts";
import { makeTestBundle, resigned, type TestBundle, testCompatible, trustOf } from "../fixtures/bundles.ts";
import { makeSigningFixture, type SigningFixture } from "../fixtures/signing.ts";

let directory: string;
let signing: SigningFixture;
let bundle: TestBundle;
let bytes: Buffer;
let read: SignedBundle;
const signal = new AbortController().signal;

before(async () => {
  directory = await mkdtemp(`${tmpdir()}/twinboard-bundle-`);
  signing = await makeSigningFixture(directory);
  bundle = await makeTestBundle(directory, signing.good);
  bytes = await readFile(bundle.path);
  read = await readSignedBundle(bundle.path, trustOf(signing.good), signal);
});

after(async () => rm(directory, { recursive: true, force: true }));

/** Object identifiers as DER has them. */
const pkcs7Data = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const ecdsaWithSha256 = "\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";

/** What reading and checking the whole of such a file ends in: a code, or `accepted`. */
async function outcome(content: Buffer, trust = trustOf(signing.good)): Promise<string> {
  const path = `${directory}/damaged.raucb`;
  await writeFile(path, content);
  try {
    await verifyPayload(await readSignedBundle(path, trust, signal), () => undefined, signal);
    return "accepted";
  } catch (error) {
    return error instanceof TwinboardError ? error.code : String(error);
  }
}

function without(from: number, to: number): Buffer {
  return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
}

function flipped(at: number, bit = 0): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ (1 << bit), at);
  return copy;
}

test("what was put in is what is signed", async () => {
  const { manifest, signer } = read;
  assert.equal(manifest.compatible, testCompatible);
  assert.equal(manifest.version, "1.0.0");
  assert.equal(manifest.format, "verity");
  assert.deepEqual(manifest.meta, { twinboard: { "kernel-arguments": "console=ttyS0 quiet" } });
  for (const image of manifest.images) {
    const content = bundle.images[image.class] ?? Buffer.alloc(0);
    assert.equal(image.sizeBytes, content.length);
    assert.equal(image.sha256, createHash("sha256").update(content).digest("hex"));
  }
  assert.deepEqual([signer.subject, signer.issuer], ["CN=Signer,O=Throw-away", "CN=Authority,O=Throw-away"]);
  assert.ok(Date.parse(signer.notAfter) > Date.now());
  assert.equal(await outcome(bytes), "accepted");
});

test("the squashfs carries a manifest with the format alone", async () => {
  const { stdout } = await run("unsquashfs", ["-cat", bundle.path, "manifest.raucm"]);
  assert.match(stdout.toString(), /^format=verity$/m);
  assert.doesNotMatch(stdout.toString(), /verity-/);
});

test("the squashfs is the same for the same input where SOURCE_DATE_EPOCH is set", async () => {
  const payloads: Buffer[] = [];
  process.env["SOURCE_DATE_EPOCH"] = "1700000000";
  try {
    for (const name of ["first", "second"]) {
      const output = `${directory}/${name}.raucb`;
      const images = { kernel: `${directory}/v1.0.0-images/kernel` };
      const manifest = { compatible: testCompatible, version: "1" };
      await createBundle({
        output,
        cert: signing.good.cert,
        key: signing.good.key,
        manifest,
        images,
        signal,
      });
      const { payloadBytes } = await readSignedBundle(output, trustOf(signing.good), signal);
      payloads.push((await readFile(output)).subarray(0, payloadBytes));
    }
  } finally {
    delete process.env["SOURCE_DATE_EPOCH"];
  }
  const [first, second] = payloads;
  assert.ok(first !== undefined && second !== undefined && first.equals(second));
});

test("a bundle cut anywhere is truncated, or no bundle when not even its beginning is left", async () => {
  const cmsAt = read.payloadBytes + (read.manifest.verity?.sizeBytes ?? 0);
  const lengths = [
    4,
    7,
    8,
    100,
    4095,
    4096,
    4100,
    8192,
    read.payloadBytes,
    read.payloadBytes + 17,
    cmsAt - 1,
    cmsAt,
  ];
  for (let length = cmsAt + 1; length < bytes.length; length += 37) lengths.push(length);
  for (let back = 1; back <= 9; back++) lengths.push(bytes.length - back);
  for (const length of lengths)
    assert.equal(await outcome(bytes.subarray(0, length)), "bundle-truncated", `cut at ${length}`);
  for (const length of [0, 1, 3])
    assert.equal(await outcome(bytes.subarray(0, length)), "bundle-not-a-bundle", `cut at ${length}`);
});

test("a bundle with a piece missing in its middle is not accepted", async () => {
  assert.equal(await outcome(without(4096, 8192)), "bundle-payload-corrupt");
  assert.equal(await outcome(without(4096, 4097)), "bundle-truncated");
});

test("a flipped bit in any block of the payload or the tree is found", async () => {
  const cmsAt = read.payloadBytes + (read.manifest.verity?.sizeBytes ?? 0);
  const path = `${directory}/flipped.raucb`;
  // The signature of all of these is the same and holds, so it need not be verified for each.
  for (let block = 0; block < cmsAt; block += 4096) {
    await writeFile(path, flipped(block + ((block * 31) % 4096), block % 8));
    await assert.rejects(
      verifyPayload({ ...read, path }, () => undefined, signal),
      { code: "bundle-payload-corrupt" },
      `at byte ${block}`,
    );
  }
});

test("a flipped bit in the signature is never accepted", async () => {
  const cmsAt = read.payloadBytes + (read.manifest.verity?.sizeBytes ?? 0);
  const cmsBytes = bytes.length - 8 - cmsAt;
  const seen = new Map<string, number>();
  // Every 29th byte, and the few fields that no signature covers: version, content type, the signature's algorithm, the signer's name.
  const body = bytes.toString("latin1");
  const unsigned = [cmsAt + 25, body.indexOf(pkcs7Data, cmsAt) + 10, body.lastIndexOf(ecdsaWithSha256) + 9];
  const places = unsigned.map((at) => [at, at % 8] as const);
  // Names are compared without regard to case, which is bit 5.
  places.push([body.lastIndexOf("Authority"), 5]);
  for (let at = cmsAt; at < cmsAt + cmsBytes; at += 29) places.push([at, at % 8]);
  for (const [at, bit] of places) {
    const code = await outcome(flipped(at, bit));
    seen.set(code, (seen.get(code) ?? 0) + 1);
  }
  // Damage to the names and keys of the certificate shows as a chain that does not hold, damage to its dates as expired.
  const allowed = new Set([
    "bundle-signature-invalid",
    "bundle-signer-untrusted",
    "bundle-certificate-expired",
    "bundle-format-refused",
  ]);
  for (const code of seen.keys()) assert.ok(allowed.has(code), code);
  assert.ok((seen.get("bundle-signature-invalid") ?? 0) > 0);
});

test("a flipped bit in the size of the signature is not accepted", async () => {
  for (let bit = 0; bit < 64; bit++) {
    const code = await outcome(flipped(bytes.length - 8 + Math.floor(bit / 8), bit % 8));
    assert.ok(["bundle-truncated", "bundle-signature-invalid"].includes(code), `bit ${bit}: ${code}`);
  }
});

test("a changed manifest with the old signature is an invalid signature", async () => {
  const at = bytes.lastIndexOf("version=1.0.0");
  assert.ok(at > 0);
  const changed = Buffer.from(bytes);
  changed.write("version=9.0.0", at);
  assert.equal(await outcome(changed), "bundle-signature-invalid");
});

test("each signer that is not to be trusted has its own code", async () => {
  const content = await signedManifest();
  assert.equal(await outcome(await resigned(bytes, content, signing.good)), "accepted");
  assert.equal(await outcome(await resigned(bytes, content, signing.stranger)), "bundle-signer-untrusted");
  assert.equal(await outcome(await resigned(bytes, content, signing.expired)), "bundle-certificate-expired");
  const noKeyring = { ...trustOf(signing.good), keyring: `${directory}/none.pem` };
  assert.equal(await outcome(bytes, noKeyring), "bundle-signer-untrusted");
});

test("a certificate that is not for signing is not trusted", async () => {
  const key = `${directory}/tls.key`;
  const cert = `${directory}/tls.pem`;
  const request = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-noenc",
    "-keyout",
    key,
  ];
  const issuer = [
    "-CA",
    signing.good.keyring,
    "-CAkey",
    `${directory}/ca.key`,
    "-subj",
    "/CN=TLS",
    "-days",
    "10",
  ];
  await run("openssl", [...request, ...issuer, "-addext", "extendedKeyUsage=serverAuth", "-out", cert]);
  const tls = { keyring: signing.good.keyring, cert, key };
  assert.equal(await outcome(await resigned(bytes, await signedManifest(), tls)), "bundle-signer-untrusted");
});

test("an intermediate authority in the bundle completes the chain", async () => {
  const key = `${directory}/middle.key`;
  const cert = `${directory}/middle.pem`;
  const request = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-noenc",
    "-days",
    "10",
  ];
  const root = ["-CA", signing.good.keyring, "-CAkey", `${directory}/ca.key`];
  const middle = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
  await run("openssl", [...request, ...root, ...middle, "-subj", "/CN=Middle", "-keyout", key, "-out", cert]);
  const leaf = { key: `${directory}/leaf.key`, cert: `${directory}/leaf.pem` };
  const issuer = ["-CA", cert, "-CAkey", key, "-addext", "basicConstraints=critical,CA:FALSE"];
  await run("openssl", [...request, ...issuer, "-subj", "/CN=Leaf", "-keyout", leaf.key, "-out", leaf.cert]);
  const output = `${directory}/intermediate.raucb`;
  const options = { output, ...leaf, manifest: { compatible: "x", version: "1" }, signal };
  const images = { rootfs: `${directory}/v1.0.0-images/rootfs` };
  await createBundle({ ...options, images });
  assert.equal(await outcome(await readFile(output)), "bundle-signer-untrusted");
  await createBundle({ ...options, images, intermediates: [cert] });
  assert.equal(await outcome(await readFile(output)), "accepted");
});

test("formats and manifests that are not taken", async () => {
  const content = await signedManifest();
  const refusal = async (changed: string): Promise<string> =>
    outcome(await resigned(bytes, changed, signing.good));
  assert.equal(await refusal(content.replace("format=verity", "format=plain")), "bundle-format-refused");
  assert.equal(await refusal(content.replace("format=verity", "format=crypt")), "bundle-format-refused");
  assert.equal(await refusal(content.replace("version=", "vresion=")), "bundle-manifest-invalid");
  assert.equal(await refusal(content.replace("verity-size=4096", "verity-size=8192")), "bundle-truncated");
  assert.equal(await refusal(content.replace(/verity-hash=../, "verity-hash=00")), "bundle-payload-corrupt");
  assert.equal(
    await outcome(bytes, { ...trustOf(signing.good), formats: ["crypt"] }),
    "bundle-format-refused",
  );
  assert.equal(
    await outcome(bytes, { ...trustOf(signing.good), maxSignatureBytes: 100 }),
    "bundle-signature-invalid",
  );
});

test("a detached signature is told to be of the plain format", async () => {
  const body = bytes.subarray(0, read.payloadBytes);
  const signer = ["-signer", signing.good.cert, "-inkey", signing.good.key];
  const { stdout } = await run("openssl", ["cms", "-sign", "-binary", "-outform", "DER", ...signer], {
    input: body,
  });
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(stdout.length));
  assert.equal(await outcome(Buffer.concat([body, stdout, size])), "bundle-format-refused");
});

test("what is no bundle at all", async () => {
  assert.equal(
    await outcome(Buffer.from("PK\u0003\u0004 a zip file, say".repeat(1000))),
    "bundle-not-a-bundle",
  );
  assert.equal(await outcome(Buffer.alloc(20_000)), "bundle-not-a-bundle");
  const unreadable = { code: "bundle-unreadable" };
  await run("mkfifo", [`${directory}/fifo`]);
  await symlink(`${directory}/nowhere`, `${directory}/link`);
  for (const path of [
    directory,
    `${directory}/missing`,
    `${directory}/fifo`,
    `${directory}/link`,
    "/dev/zero",
  ])
    await assert.rejects(readSignedBundle(path, trustOf(signing.good), signal), unreadable, path);
});

test("what cannot be made is said before anything is left behind", async () => {
  const place = `${directory}/made`;
  await mkdir(place);
  const options = {
    output: `${place}/x.raucb`,
    cert: signing.good.cert,
    key: signing.good.key,
    manifest: { compatible: "x", version: "1" },
    images: { rootfs: `${directory}/v1.0.0-images/rootfs` },
    signal,
  };
  const attempts: [object, string][] = [
    [{ images: { rootfs: `${directory}/missing` } }, "bundle-not-made"],
    [{ images: { rootfs: "/dev/zero" } }, "bundle-not-made"],
    [{ images: {} }, "bundle-manifest-invalid"],
    [{ images: { "../x": options.images.rootfs } }, "bundle-not-made"],
    [{ manifest: { compatible: "", version: "1" } }, "bundle-manifest-invalid"],
    [{ manifest: { ...options.manifest, meta: { "a]b": { c: "d" } } } }, "bundle-manifest-invalid"],
    [{ key: signing.stranger.key }, "bundle-not-made"],
    [{ cert: `${directory}/missing` }, "bundle-not-made"],
    [{ cert: signing.expired.cert, key: signing.expired.key }, "bundle-certificate-expired"],
  ];
  for (const [change, code] of attempts)
    await assert.rejects(createBundle({ ...options, ...change }), { code }, JSON.stringify(change));
  await assert.rejects(createBundle({ ...options, signal: AbortSignal.abort(new Error("stop")) }), /stop/);
  assert.deepEqual(await readdir(place), []);
});

async function signedManifest(): Promise<string> {
  const cmsAt = read.payloadBytes + (read.manifest.verity?.sizeBytes ?? 0);
  const args = ["cms", "-verify", "-inform", "DER", "-binary", "-noverify"];
  return (await run("openssl", args, { input: bytes.subarray(cmsAt, -8) })).stdout.toString();
}
