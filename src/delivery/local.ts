/** Delivery of bundles that are on this host, or that come as a stream over the daemon's socket. */

import { constants } from "node:fs";
import { chmod, copyFile, mkdir, open, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { BundleTrust, SignedBundle } from "../bundle/bundle.ts";
import { openBundle } from "../bundle/file.ts";
import { readSignedBundle } from "../bundle/read.ts";
import { TwinboardError } from "../errors.ts";
import { syncDirectory } from "../system/files.ts";
import { acceptBundle } from "./accept.ts";
import type { Acceptance, BundleSource, Delivery } from "./delivery.ts";
import { checkRoom, spool } from "./spool.ts";

export interface LocalDeliveryOptions {
  /** The state directory; what is delivered lies in `delivery/` below it, which nobody else may enter. */
  readonly directory: string;
  readonly trust: BundleTrust;
  /** Largest bundle that is taken. */
  readonly maxBundleBytes: number;
}

type OnProgress = (progress: { readonly bytes: number; readonly totalBytes?: number }) => void;

export class LocalDelivery implements Delivery {
  readonly #trust: BundleTrust;
  readonly #maxBundleBytes: number;
  readonly #directory: string;
  /** What comes in, and what has been accepted; at most one of each, whatever happened before. */
  readonly #incoming: string;
  readonly #accepted: string;

  constructor(options: LocalDeliveryOptions) {
    this.#trust = options.trust;
    this.#maxBundleBytes = options.maxBundleBytes;
    this.#directory = resolve(options.directory, "delivery");
    this.#incoming = join(this.#directory, "incoming.raucb");
    this.#accepted = join(this.#directory, "bundle.raucb");
  }

  async deliver(
    source: BundleSource,
    acceptance: Acceptance,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<SignedBundle> {
    signal.throwIfAborted();
    await this.forget();
    await mkdir(this.#directory, { recursive: true });
    await chmod(this.#directory, 0o700);
    try {
      if (source.kind === "path") await this.#copy(source.path, acceptance, onProgress, signal);
      else await this.#receive(source, onProgress, signal);
      const bundle = await readSignedBundle(this.#incoming, this.#trust, signal);
      acceptBundle(bundle, acceptance);
      await rename(this.#incoming, this.#accepted);
      await syncDirectory(this.#directory);
      return { ...bundle, path: this.#accepted };
    } catch (error) {
      await this.forget();
      throw error;
    }
  }

  async reopen(path: string, digest: string, signal: AbortSignal): Promise<SignedBundle> {
    if (path !== this.#accepted)
      throw new TwinboardError("bundle-unreadable", { detail: `${path} was not delivered here` });
    const bundle = await readSignedBundle(path, this.#trust, signal);
    if (bundle.digest !== digest)
      throw new TwinboardError("bundle-unreadable", {
        detail: `${path} holds ${bundle.digest}, not ${digest}`,
      });
    return bundle;
  }

  async forget(): Promise<void> {
    await rm(this.#incoming, { force: true });
    await rm(this.#accepted, { force: true });
  }

  async #copy(
    path: string,
    acceptance: Acceptance,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<void> {
    // A look at the original refuses a wrong bundle before it is copied; what counts is the look at the copy.
    acceptBundle(await readSignedBundle(path, this.#trust, signal), acceptance);
    const { file, sizeBytes } = await openBundle(path);
    try {
      this.#checkSize(sizeBytes);
      if (!(await clone(`/proc/self/fd/${file.fd}`, this.#incoming))) {
        await checkRoom(this.#directory, sizeBytes);
        const content = file.createReadStream({ start: 0, autoClose: false, signal });
        await spool(content, this.#incoming, {
          maxBytes: this.#maxBundleBytes,
          sizeBytes,
          onProgress,
          signal,
        });
      }
      onProgress({ bytes: sizeBytes, totalBytes: sizeBytes });
    } finally {
      await file.close();
    }
  }

  async #receive(
    source: Extract<BundleSource, { kind: "stream" }>,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<void> {
    const { stream, sizeBytes } = source;
    if (sizeBytes !== undefined) {
      this.#checkSize(sizeBytes);
      await checkRoom(this.#directory, sizeBytes);
    }
    const known = sizeBytes === undefined ? {} : { sizeBytes };
    await spool(stream, this.#incoming, { maxBytes: this.#maxBundleBytes, ...known, onProgress, signal });
  }

  #checkSize(sizeBytes: number): void {
    if (sizeBytes > this.#maxBundleBytes) {
      throw new TwinboardError("bundle-too-large", {
        detail: `the bundle has ${sizeBytes} bytes, ${this.#maxBundleBytes} are taken`,
      });
    }
  }
}

/** Makes a copy that shares its blocks with the original until one of them is written (ioctl_ficlonerange(2)); false where that is not possible. */
async function clone(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
  } catch {
    // Whatever the reason, a plain copy finds out whether it is one that matters.
    await rm(to, { force: true });
    return false;
  }
  const file = await open(to, "r+");
  try {
    await file.chmod(0o600);
    await file.sync();
  } finally {
    await file.close();
  }
  return true;
}
