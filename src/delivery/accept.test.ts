import assert from "node:assert/strict";
import { test } from "node:test";
import { acceptBundle } from "./accept.ts";
import type { Acceptance } from "./delivery.ts";
import { simulatedBundle } from "./simulated.ts";

const open: Acceptance = { compatible: "simulated", floor: null, failedVersions: [], force: false };

test("a bundle for this system at or above the floor is accepted", () => {
  acceptBundle(simulatedBundle("1.0"), open);
  acceptBundle(simulatedBundle("1.0"), { ...open, floor: "1.0" });
  acceptBundle(simulatedBundle("1.10"), { ...open, floor: "1.9", failedVersions: ["1.9", "1.11"] });
});

function refuses(version: string, acceptance: Partial<Acceptance>, code: string): void {
  assert.throws(() => acceptBundle(simulatedBundle(version), { ...open, ...acceptance }), { code });
}

test("another system, a version below the floor, and a version that failed are refused", () => {
  refuses("1.0", { compatible: "Simulated" }, "bundle-incompatible");
  refuses("1.9", { floor: "1.10" }, "bundle-below-floor");
  refuses("1.0~rc1", { floor: "1.0" }, "bundle-below-floor");
  refuses("1.0", { floor: "2.0", force: true }, "bundle-below-floor");
  refuses("1.0", { failedVersions: ["0.9", "1.0"] }, "bundle-version-failed");
  // Another way to write the same version is no way around what failed.
  refuses("1.00", { failedVersions: ["1.0"] }, "bundle-version-failed");
});

test("force lifts what failed before, and nothing else", () => {
  acceptBundle(simulatedBundle("1.0"), { ...open, failedVersions: ["1.0"], force: true });
});
