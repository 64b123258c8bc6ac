import type { SignedBundle } from "../bundle/bundle.ts";
import { TwinboardError } from "../errors.ts";
import type { InstallProgress, Slot, SlotContent } from "./slot.ts";

export class DirectorySlot implements Slot {
  readonly directory: string;
  readonly #capacityBytes: number;

  constructor(directory: string, capacityBytes: number) {
    this.directory = directory;
    this.#capacityBytes = capacityBytes;
  }

  capacityBytes(): Promise<number> {
    return Promise.resolve(this.#capacityBytes);
  }

  async install(
    _bundle: SignedBundle,
    _onProgress: (progress: InstallProgress) => void,
    _signal: AbortSignal,
  ): Promise<SlotContent> {
    return await Promise.reject(new TwinboardError("internal", { detail: "under construction" }));
  }
}
