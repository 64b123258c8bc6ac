/** Reads what a bundle says of itself, and believes it only as far as it is signed. */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { TwinboardError } from "../errors.ts";
import type { BundleTrust, Manifest, SignedBundle } from "./bundle.ts";
import { verifyCms } from "./cms.ts";
import { openBundle, readBundleEnd } from "./file.ts";
import { parseManifest } from "./manifest.ts";
import { blockBytes, treeBytes } from "./verity.ts";

/**
 * Verifies a bundle's signature and reads its signed manifest (docs/bundles.md, steps 1 to 6); reads none of the payload. Repeatable.
 * Errors: `bundle-unreadable`, `bundle-not-a-bundle`, `bundle-truncated`, `bundle-signature-invalid`, `bundle-signer-untrusted`,
 * `bundle-certificate-expired`, `bundle-format-refused`, `bundle-manifest-invalid`; the signal's reason.
 */
export async function readSignedBundle(
  path: string,
  trust: BundleTrust,
  signal: AbortSignal,
): Promise<SignedBundle> {
  signal.throwIfAborted();
  const { file, sizeBytes } = await openBundle(path);
  try {
    const { bodyBytes, cms } = await readBundleEnd(file, sizeBytes, trust.maxSignatureBytes);
    const { content, signer } = await verifyCms(cms, trust, signal);
    const manifest = parseManifest(content);
    return {
      path: resolve(path),
      sizeBytes,
      payloadBytes: payloadBytes(manifest, bodyBytes, trust),
      manifest,
      signer,
      digest: createHash("sha256").update(content).digest("hex"),
    };
  } finally {
    await file.close();
  }
}

/** The squashfs' size, if the format is allowed and the squashfs and its tree fill the file up to the CMS. */
function payloadBytes(manifest: Manifest, bodyBytes: number, trust: BundleTrust): number {
  const { format, verity } = manifest;
  if (!trust.formats.includes(format))
    throw new TwinboardError("bundle-format-refused", {
      detail: `${format}; allowed: ${trust.formats.join(", ")}`,
    });
  // A `plain` manifest inside a CMS promises a check that nobody could make; `crypt` has no reader here yet.
  if (format !== "verity" || verity === undefined)
    throw new TwinboardError("bundle-format-refused", { detail: `${format} is not supported` });
  const payload = bodyBytes - verity.sizeBytes;
  if (payload <= blockBytes || treeBytes(payload / blockBytes) !== verity.sizeBytes) {
    throw new TwinboardError("bundle-truncated", {
      detail: `${bodyBytes} bytes before the signature do not fit a hash tree of ${verity.sizeBytes}`,
    });
  }
  return payload;
}
