/** The contract of delivery: where bundles come from. */
import type { SignedBundle } from "../bundle/bundle.ts";

export type BundleSource =
  | { readonly kind: "path"; readonly path: string }
  /** Bytes from the socket; `sizeBytes` if the sender knows it. */
  | { readonly kind: "stream"; readonly stream: AsyncIterable<Uint8Array>; readonly sizeBytes?: number };

/** What a bundle must satisfy besides its signature (docs/bundles.md, step 7). */
export interface Acceptance {
  readonly compatible: string;
  /** Highest version ever committed; `null` on a fresh system. Equal is accepted. */
  readonly floor: string | null;
  readonly failedVersions: readonly string[];
  /** Accept a version that failed before. Never lifts the floor. */
  readonly force: boolean;
}

export interface Delivery {
  /**
   * Brings the bundle to a place that only the daemon can write, verifies its signature and manifest, and holds it against `acceptance`.
   * Repeatable. Errors: all `bundle-…` codes of kind *rejected*, `too-little-disk`; the signal's reason.
   */
  deliver(
    source: BundleSource,
    acceptance: Acceptance,
    onProgress: (progress: { readonly bytes: number; readonly totalBytes?: number }) => void,
    signal: AbortSignal,
  ): Promise<SignedBundle>;
  /** Opens again what `deliver` brought, after a restart: verified anew, and it must have this digest. */
  reopen(path: string, digest: string, signal: AbortSignal): Promise<SignedBundle>;
  /** Removes what `deliver` brought. Repeatable. */
  forget(): Promise<void>;
}
