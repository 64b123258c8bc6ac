/** What the product knows of a bundle, in RAUC's words (RAUC docs/reference.rst, "Manifest"). The modules beside this one read, verify and write it. */

export const bundleFormats = ["plain", "verity", "crypt"] as const;
export type BundleFormat = (typeof bundleFormats)[number];

export interface ManifestImage {
  /** Slot class: `kernel`, `initrd`, `rootfs`. */
  readonly class: string;
  readonly filename: string;
  /** Hex, 64 digits. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

export interface Manifest {
  readonly compatible: string;
  readonly version: string;
  readonly description?: string;
  readonly build?: string;
  readonly images: readonly ManifestImage[];
  readonly format: BundleFormat;
  /** Present for `verity` and `crypt`. Hex; `sizeBytes` is that of the hash tree. */
  readonly verity?: { readonly hash: string; readonly salt: string; readonly sizeBytes: number };
  /** `[meta.LABEL]` groups: label → key → value. Twinboard's own keys are in `meta.twinboard`. */
  readonly meta: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface Signer {
  /** Distinguished names, RFC 4514. */
  readonly subject: string;
  readonly issuer: string;
  /** ISO 8601. */
  readonly notAfter: string;
}

/** What is believed, and how far. */
export interface BundleTrust {
  /** PEM file of the certificate authorities. */
  readonly keyring: string;
  readonly formats: readonly BundleFormat[];
  /** Default 64 KiB. */
  readonly maxSignatureBytes: number;
}

/** A bundle whose signature and manifest have been verified (docs/bundles.md, steps 1 to 6); its payload has not been read yet. */
export interface SignedBundle {
  readonly path: string;
  readonly sizeBytes: number;
  /** Bytes of the squashfs, without the hash tree. */
  readonly payloadBytes: number;
  readonly manifest: Manifest;
  readonly signer: Signer;
  /** Hex SHA-256 of the signed manifest: names the content, payload included, since the manifest holds the tree's root. */
  readonly digest: string;
}
