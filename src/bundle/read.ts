import { TwinboardError } from "../errors.ts";
import type { BundleTrust, SignedBundle } from "./bundle.ts";

export async function readSignedBundle(
  _path: string,
  _trust: BundleTrust,
  _signal: AbortSignal,
): Promise<SignedBundle> {
  return await Promise.reject(new TwinboardError("internal", { detail: "under construction" }));
}
