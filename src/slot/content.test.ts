import assert from "node:assert/strict";
import { test } from "node:test";
import { contentBytes, neededClasses } from "./content.ts";

const image = (label: string) => ({
  class: label,
  filename: `${label}.img`,
  sha256: "0".repeat(64),
  sizeBytes: 100,
});

test("what a board cannot boot is refused by its manifest alone", () => {
  assert.equal(contentBytes(["kernel", "rootfs"].map(image), 200), 200);
  assert.equal(contentBytes([image("rootfs")], 100, neededClasses.container), 100);
  assert.equal(contentBytes(["kernel", "initrd", "rootfs"].map(image), 300), 300);
  for (const [classes, told] of [
    [["kernel", "initrd"], /class rootfs/],
    [["rootfs"], /class kernel/],
    [[], /class kernel/],
    [["kernel", "rootfs", "appfs"], /class appfs/],
  ] as const) {
    assert.throws(() => contentBytes(classes.map(image), 1000), {
      code: "bundle-manifest-invalid",
      message: told,
    });
  }
  assert.throws(() => contentBytes(["kernel", "rootfs"].map(image), 199), { code: "bundle-too-large" });
});
