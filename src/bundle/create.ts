/** Makes a bundle in RAUC's verity format: squashfs, hash tree, CMS, size of the CMS. */
import { createHash, randomBytes } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import {
  chmod,
  copyFile,
  type FileHandle,
  mkdir,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { TwinboardError } from "../errors.ts";
import { syncDirectory } from "../system/files.ts";
import { run } from "../system/process.ts";
import { checkKinds } from "./board-kinds.ts";
import type { Manifest, ManifestImage } from "./bundle.ts";
import { signCms, verifyCms } from "./cms.ts";
import { formatManifest, parseManifest } from "./manifest.ts";
import { blockBytes, readExactly, TreeBuilder } from "./verity.ts";

export interface CreateBundleOptions {
  /** Written as one step, when all is done; what was there is replaced. */
  readonly output: string;
  /** PEM files. */
  readonly cert: string;
  readonly key: string;
  readonly intermediates?: readonly string[];
  readonly manifest: {
    readonly compatible: string;
    readonly version: string;
    readonly description?: string;
    readonly build?: string;
    /** Label → key → value. */
    readonly meta?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  };
  /** Image class → path. */
  readonly images: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

const longestSquashMs = 60 * 60 * 1000;
const stepBytes = 256 * blockBytes;

/**
 * Makes and signs a bundle; returns its manifest as it was signed. The squashfs is the same for the same input where
 * SOURCE_DATE_EPOCH is set; salt and signing time are not. Repeatable.
 * Errors: `bundle-not-made` (a file or value that is named), `bundle-manifest-invalid`, `bundle-certificate-expired` and the other
 * `bundle-sign…` codes where the signature just made does not hold, `missing-program`; the signal's reason.
 */
export async function createBundle(options: CreateBundleOptions): Promise<Manifest> {
  const { signal } = options;
  signal.throwIfAborted();
  const output = resolve(options.output);
  const directory = await attempt("output", () => mkdtemp(join(dirname(output), `.${basename(output)}.`)));
  try {
    const content = join(directory, "content");
    await mkdir(content);
    const images = await copyImages(options.images, content, signal);
    const { meta = {}, ...update } = options.manifest;
    const inner: Manifest = { ...update, images, format: "verity", meta };
    checkKinds(inner);
    const bundle = join(directory, "bundle");
    await squash(content, formatManifest(inner), bundle, signal);
    const manifest = await appendTreeAndSignature(bundle, inner, options, directory);
    await rename(bundle, output);
    await syncDirectory(dirname(output));
    return manifest;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What is hashed must be what is packed, so both are done to a copy (or a clone, where the file system has such) of our own. */
async function copyImages(
  paths: Readonly<Record<string, string>>,
  content: string,
  signal: AbortSignal,
): Promise<ManifestImage[]> {
  const images: ManifestImage[] = [];
  for (const [label, path] of Object.entries(paths)) {
    const filename = `${label}.img`;
    if (label.includes("/")) throw new TwinboardError("bundle-not-made", { detail: `${label} is no class` });
    const copy = join(content, filename);
    const copied = await attempt(`image ${label}`, async () => {
      if (!(await stat(path)).isFile()) throw new Error(`${path} is not a regular file`);
      await copyFile(path, copy, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
      return await stat(copy);
    });
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(copy, { signal })) hash.update(chunk as Buffer);
    await makeReproducible(copy, 0o644);
    images.push({ class: label, filename, sha256: hash.digest("hex"), sizeBytes: copied.size });
  }
  return images;
}

async function squash(content: string, manifest: string, output: string, signal: AbortSignal): Promise<void> {
  const file = join(content, "manifest.raucm");
  await writeFile(file, manifest);
  await makeReproducible(file, 0o644);
  await makeReproducible(content, 0o755);
  const options = ["-noappend", "-no-progress", "-all-root", "-no-xattrs", "-quiet"];
  await run("mksquashfs", [content, output, ...options], { signal, timeoutMs: longestSquashMs });
  await chmod(output, 0o644);
}

/** mksquashfs takes the times of files as they are, unless they are later than SOURCE_DATE_EPOCH. */
async function makeReproducible(path: string, mode: number): Promise<void> {
  await chmod(path, mode);
  const epoch = Number(process.env["SOURCE_DATE_EPOCH"] ?? Number.NaN);
  if (Number.isSafeInteger(epoch)) await utimes(path, epoch, epoch);
}

async function appendTreeAndSignature(
  path: string,
  inner: Manifest,
  options: CreateBundleOptions,
  directory: string,
): Promise<Manifest> {
  const file = await open(path, "r+");
  try {
    const salt = randomBytes(32);
    const { tree, root, payloadBytes } = await buildTree(file, salt, options.signal);
    const manifest: Manifest = {
      ...inner,
      verity: { hash: root.toString("hex"), salt: salt.toString("hex"), sizeBytes: tree.length },
    };
    const cms = await sign(formatManifest(manifest), options, directory);
    const size = Buffer.alloc(8);
    size.writeBigUInt64BE(BigInt(cms.length));
    await file.writev([tree, cms, size], payloadBytes);
    await file.sync();
    return manifest;
  } finally {
    await file.close();
  }
}

async function buildTree(
  file: FileHandle,
  salt: Buffer,
  signal: AbortSignal,
): Promise<{ tree: Buffer; root: Buffer; payloadBytes: number }> {
  // mksquashfs fills up to whole blocks; RAUC wants more than one, so the smallest bundles get a block of zeroes.
  const payloadBytes = Math.max((await file.stat()).size, 2 * blockBytes);
  await file.truncate(payloadBytes);
  const builder = new TreeBuilder(salt);
  for (let position = 0; position < payloadBytes; position += stepBytes) {
    signal.throwIfAborted();
    const blocks = Buffer.alloc(Math.min(stepBytes, payloadBytes - position));
    await readExactly(file, blocks, position);
    builder.add(blocks);
  }
  return { ...builder.finish(), payloadBytes };
}

async function sign(content: string, options: CreateBundleOptions, directory: string): Promise<Buffer> {
  const { cert, key, signal } = options;
  parseManifest(Buffer.from(content));
  // openssl takes one file of further certificates.
  const intermediates = join(directory, "intermediates.pem");
  const certificates = (options.intermediates ?? []).map((path) =>
    attempt("intermediates", () => readFile(path, "utf8")),
  );
  await writeFile(intermediates, (await Promise.all(certificates)).join("\n"));
  const chain = certificates.length === 0 ? {} : { intermediates };
  const cms = await signCms(content, { cert, key, ...chain }, signal);
  // Trusting the signer's own certificate shows what no keyring could mend: time, purpose, a signature that does not hold.
  const verified = await verifyCms(cms, { keyring: cert, partialChain: true }, signal);
  if (!verified.content.equals(Buffer.from(content)))
    throw new TwinboardError("bundle-signature-invalid", { detail: "openssl signed something else" });
  return cms;
}

async function attempt<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw new TwinboardError("bundle-not-made", { detail: `${what}: ${(cause as Error).message}`, cause });
  }
}
