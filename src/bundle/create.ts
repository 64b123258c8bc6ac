import { TwinboardError } from "../errors.ts";

export interface CreateBundleOptions {
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
    readonly meta?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  };
  /** Image class → path. */
  readonly images: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export async function createBundle(_options: CreateBundleOptions): Promise<void> {
  return await Promise.reject(new TwinboardError("internal", { detail: "under construction" }));
}
