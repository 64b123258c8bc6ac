/** The contract of a slot: where one board's software lives. Its mark (*good*, *bad*, *unknown*) is in `system.json`, kept by the story. */
import type { BoardKind } from "../board/kind.ts";
import type { ManifestImage, SignedBundle } from "../bundle/bundle.ts";

export type SlotMark = "good" | "bad" | "unknown";

/** What was installed, as the story remembers it in `system.json` and hands it to the board. */
export interface SlotContent {
  readonly version: string;
  /** `SignedBundle.digest` of the bundle it came from. */
  readonly digest: string;
  /** What the board is that boots it; left out by versions that knew one kind for a system: the usual one of the configuration. */
  readonly kind?: BoardKind | undefined;
  /** Image class → absolute path. */
  readonly images: Readonly<Record<string, string>>;
  /** Image class → hex SHA-256. */
  readonly sha256: Readonly<Record<string, string>>;
  readonly kernelArguments: string;
}

/** What of a bundle would be installed. */
export interface Accepted {
  /** What its board becomes. */
  readonly kind: BoardKind;
  /** Those that are for that kind, each with its plain class. */
  readonly images: readonly ManifestImage[];
  /** The sum of their sizes. */
  readonly bytes: number;
}

export interface InstallProgress {
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface Slot {
  /**
   * Refuses what could not be installed, from the manifest alone and before anything is touched.
   * Errors: `bundle-kind-refused` (not for a kind that the board may be); `bundle-too-large`, `bundle-manifest-invalid` (an image class that
   * the slot has no place for, or none that the board needs), `too-little-disk`.
   */
  accept(bundle: SignedBundle): Promise<Accepted>;
  /**
   * Writes every image of the bundle that is for the board's kind, each payload block checked against the signed tree and each image against its SHA-256 in the
   * manifest; fsynced, then read back from the disk and compared. Repeatable; what was there before is gone from the first byte on.
   * Errors: `bundle-too-large`, `too-little-disk`, `bundle-kind-refused`, `bundle-manifest-invalid` (as for `accept`), all before
   * anything is touched; `bundle-payload-corrupt`, `bundle-unreadable`, `slot-write-failed`; the signal's reason.
   */
  install(
    bundle: SignedBundle,
    onProgress: (progress: InstallProgress) => void,
    signal: AbortSignal,
  ): Promise<SlotContent>;
}
