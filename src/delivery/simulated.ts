/** A delivery of bundles that exist in memory alone, for tests of the story. */
import { createHash } from "node:crypto";
import type { Manifest, SignedBundle } from "../bundle/bundle.ts";
import { type ErrorCode, TwinboardError } from "../errors.ts";
import { acceptBundle } from "./accept.ts";
import type { Acceptance, BundleSource, Delivery } from "./delivery.ts";

export class SimulatedDelivery implements Delivery {
  /** Path → what lies there: a bundle, or the code with which it is refused. */
  readonly bundles = new Map<string, SignedBundle | ErrorCode>();
  /** What `deliver` brought; `undefined` before and after `forget`. */
  delivered: SignedBundle | undefined;
  /** Deliver nothing until cancelled. */
  hangs = false;

  async deliver(
    source: BundleSource,
    acceptance: Acceptance,
    onProgress: (progress: { readonly bytes: number; readonly totalBytes?: number }) => void,
    signal: AbortSignal,
  ): Promise<SignedBundle> {
    signal.throwIfAborted();
    if (this.hangs) await untilAborted(signal);
    const found = source.kind === "path" ? this.bundles.get(source.path) : "bundle-not-a-bundle";
    if (found === undefined) throw new TwinboardError("bundle-unreadable", { detail: "no such bundle" });
    if (typeof found === "string") throw new TwinboardError(found, { detail: "simulated" });
    acceptBundle(found, acceptance);
    onProgress({ bytes: found.sizeBytes, totalBytes: found.sizeBytes });
    this.delivered = found;
    return found;
  }

  async reopen(path: string, digest: string, signal: AbortSignal): Promise<SignedBundle> {
    signal.throwIfAborted();
    const { delivered } = this;
    if (delivered === undefined || delivered.path !== path || delivered.digest !== digest)
      return await Promise.reject(
        new TwinboardError("bundle-unreadable", { detail: `${path} was not delivered` }),
      );
    return delivered;
  }

  async forget(): Promise<void> {
    this.delivered = undefined;
    await Promise.resolve();
  }
}

/** A bundle of that version with a kernel and a root file system of a few bytes. */
export function simulatedBundle(version: string, manifest: Partial<Manifest> = {}): SignedBundle {
  const image = (label: string): Manifest["images"][number] => ({
    class: label,
    filename: `${label}.img`,
    sha256: sha256(`${label} ${version}`),
    sizeBytes: 1000,
  });
  return {
    path: `/simulated/${version}.raucb`,
    sizeBytes: 20_000,
    payloadBytes: 8192,
    manifest: {
      compatible: "simulated",
      version,
      images: [image("kernel"), image("rootfs")],
      format: "verity",
      verity: { hash: sha256("root"), salt: sha256("salt"), sizeBytes: 4096 },
      meta: { twinboard: { "kernel-arguments": "quiet" } },
      ...manifest,
    },
    signer: { subject: "CN=Simulated", issuer: "CN=Simulated", notAfter: "2100-01-01T00:00:00.000Z" },
    digest: sha256(`bundle ${version}`),
  };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

async function untilAborted(signal: AbortSignal): Promise<never> {
  return await new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
