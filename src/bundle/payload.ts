import { TwinboardError } from "../errors.ts";
import type { SignedBundle } from "./bundle.ts";

export async function verifyPayload(
  _bundle: SignedBundle,
  _onProgress: (progress: { readonly bytes: number; readonly totalBytes: number }) => void,
  _signal: AbortSignal,
): Promise<void> {
  return await Promise.reject(new TwinboardError("internal", { detail: "under construction" }));
}
