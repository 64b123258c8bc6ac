/** What a bundle must satisfy besides its signature (docs/bundles.md, step 7). */
import type { SignedBundle } from "../bundle/bundle.ts";
import { compareVersions } from "../bundle/version.ts";
import { TwinboardError } from "../errors.ts";
import type { Acceptance } from "./delivery.ts";

/**
 * Throws unless the bundle is for this system, at or above the floor, and not of a version that failed here before.
 * Errors: `bundle-incompatible`, `bundle-below-floor`, `bundle-version-failed`.
 */
export function acceptBundle(bundle: SignedBundle, acceptance: Acceptance): void {
  const { compatible, version } = bundle.manifest;
  if (compatible !== acceptance.compatible) {
    throw new TwinboardError("bundle-incompatible", {
      detail: `it is for ${JSON.stringify(compatible)}, this system is ${JSON.stringify(acceptance.compatible)}`,
    });
  }
  if (acceptance.floor !== null && compareVersions(version, acceptance.floor) < 0) {
    throw new TwinboardError("bundle-below-floor", { detail: `${version} is below ${acceptance.floor}` });
  }
  const failedBefore = acceptance.failedVersions.some((failed) => compareVersions(failed, version) === 0);
  if (failedBefore && !acceptance.force)
    throw new TwinboardError("bundle-version-failed", { detail: version });
}
