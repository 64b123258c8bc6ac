import type { BundleTrust, SignedBundle } from "../bundle/bundle.ts";
import { TwinboardError } from "../errors.ts";
import type { Acceptance, BundleSource, Delivery } from "./delivery.ts";

export interface LocalDeliveryOptions {
  /** The state directory; what is delivered lies in `delivery/` below it, which nobody else may enter. */
  readonly directory: string;
  readonly trust: BundleTrust;
  /** Largest bundle that is taken. */
  readonly maxBundleBytes: number;
}

export class LocalDelivery implements Delivery {
  readonly #options: LocalDeliveryOptions;

  constructor(options: LocalDeliveryOptions) {
    this.#options = options;
  }

  async deliver(
    _source: BundleSource,
    _acceptance: Acceptance,
    _onProgress: (progress: { readonly bytes: number; readonly totalBytes?: number }) => void,
    _signal: AbortSignal,
  ): Promise<SignedBundle> {
    return await Promise.reject(new TwinboardError("internal", { detail: this.#options.directory }));
  }

  async reopen(_path: string, _digest: string, _signal: AbortSignal): Promise<SignedBundle> {
    return await Promise.reject(new TwinboardError("internal", { detail: "under construction" }));
  }

  async forget(): Promise<void> {
    await Promise.resolve();
  }
}
