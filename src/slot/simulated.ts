/** A slot in memory, for tests of the story: it can be told to fail at a byte, or to hang there until it is cancelled. */
import type { SignedBundle } from "../bundle/bundle.ts";
import { TwinboardError } from "../errors.ts";
import { acceptedOf, slotContent } from "./content.ts";
import { type KindRules, machinesAlone } from "./kind.ts";
import type { Accepted, InstallProgress, Slot, SlotContent } from "./slot.ts";

export type SlotFault =
  | {
      readonly kind: "fail";
      readonly atByte: number;
      readonly code: "slot-write-failed" | "bundle-payload-corrupt";
    }
  | { readonly kind: "hang"; readonly atByte: number };

export class SimulatedSlot implements Slot {
  /** What the next installations meet; `undefined`: nothing. */
  fault: SlotFault | undefined;
  /** What was installed last; `undefined` while an installation is under way or after one that failed. */
  content: SlotContent | undefined;
  installations = 0;
  /** What its board may be. */
  rules: KindRules = machinesAlone;
  readonly #name: string;
  readonly #capacityBytes: number;

  constructor(name: string, capacityBytes = 1_000_000) {
    this.#name = name;
    this.#capacityBytes = capacityBytes;
  }

  async accept(bundle: SignedBundle): Promise<Accepted> {
    return await Promise.resolve(acceptedOf(bundle, this.#capacityBytes, this.rules));
  }

  async install(
    bundle: SignedBundle,
    onProgress: (progress: InstallProgress) => void,
    signal: AbortSignal,
  ): Promise<SlotContent> {
    signal.throwIfAborted();
    const accepted = await this.accept(bundle);
    const totalBytes = accepted.bytes;
    this.content = undefined;
    this.installations += 1;
    const steps = 10;
    for (let step = 0; step <= steps; step++) {
      signal.throwIfAborted();
      const bytes = Math.floor((totalBytes * step) / steps);
      if (this.fault !== undefined && bytes >= this.fault.atByte) await meet(this.fault, signal);
      onProgress({ bytes, totalBytes });
      // Lets a cancellation in between every two steps.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.content = slotContent(bundle, accepted, (label) => `/simulated/${this.#name}/${label}`);
    return this.content;
  }
}

async function meet(fault: SlotFault, signal: AbortSignal): Promise<void> {
  if (fault.kind === "fail")
    throw new TwinboardError(fault.code, { detail: `simulated at byte ${fault.atByte}` });
  await new Promise((_, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
