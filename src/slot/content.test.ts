import assert from "node:assert/strict";
import { test } from "node:test";
import type { BoardKind } from "../board/kind.ts";
import type { Manifest, SignedBundle } from "../bundle/bundle.ts";
import { acceptedOf, slotContent } from "./content.ts";
import type { KindRules } from "./kind.ts";

const image = (label: string) => ({
  class: label,
  filename: `${label}.img`,
  sha256: "0".repeat(64),
  sizeBytes: 100,
});

function bundleOf(classes: readonly string[], own: Readonly<Record<string, string>> = {}): SignedBundle {
  const manifest: Manifest = {
    compatible: "simulated",
    version: "1.0",
    images: classes.map(image),
    format: "verity",
    meta: { twinboard: own },
  };
  const signer = { subject: "", issuer: "", notAfter: "" };
  return { path: "/bundle", sizeBytes: 1, payloadBytes: 1, manifest, signer, digest: "0".repeat(64) };
}

const may = (...allowed: [BoardKind, ...BoardKind[]]): KindRules => ({ allowed, lacks: {} });

const bytesOf = (classes: readonly string[], capacity: number, kind: BoardKind): number =>
  acceptedOf(bundleOf(classes), capacity, may(kind)).bytes;
const kindOf = (kinds: string | undefined, rules: KindRules): BoardKind =>
  acceptedOf(bundleOf(["kernel", "rootfs"], kinds === undefined ? {} : { kinds }), 1000, rules).kind;

test("what a board cannot boot is refused by its manifest alone", () => {
  assert.equal(bytesOf(["kernel", "rootfs"], 200, "qemu"), 200);
  assert.equal(bytesOf(["rootfs"], 100, "container"), 100);
  assert.equal(bytesOf(["kernel", "initrd", "rootfs"], 300, "qemu"), 300);
  assert.equal(bytesOf(["kernel", "initrd", "rootfs"], 100, "container"), 100, "a container boots no kernel");
  for (const [classes, told] of [
    [["kernel", "initrd"], /class rootfs/],
    [["rootfs"], /class kernel/],
    [[], /class kernel/],
    [["kernel", "rootfs", "appfs"], /class appfs/],
    [["kernel", "rootfs", "kernel-container"], /class kernel-container/],
    [["kernel", "rootfs-container"], /class rootfs, which a board that is a machine needs/],
  ] as const) {
    assert.throws(() => bytesOf(classes, 1000, "qemu"), { code: "bundle-manifest-invalid", message: told });
  }
  assert.throws(() => bytesOf(["kernel", "rootfs"], 199, "qemu"), { code: "bundle-too-large" });
});

test("a board becomes the first of its kinds that the bundle is for, and the first of all where it says nothing", () => {
  for (const [kinds, rules, wanted] of [
    [undefined, may("container", "qemu"), "container"],
    [undefined, may("qemu", "container"), "qemu"],
    ["qemu", may("container", "qemu"), "qemu"],
    ["qemu;", may("container", "qemu"), "qemu"],
    ["qemu;container;", may("container", "qemu"), "container"],
    ["container; qemu", may("qemu"), "qemu"],
    ["container;qemu", may("container"), "container"],
  ] as const)
    assert.equal(kindOf(kinds, rules), wanted, `${kinds} for ${rules.allowed.join()}`);
  assert.throws(() => kindOf("qemu", may("container")), {
    code: "bundle-kind-refused",
    message: /are for a machine, boards\.kind allows this board to be a container$/,
  });
  for (const [kinds, told] of [
    ["qemu;docker", /"docker" is no kind of board/],
    ["", /names none of/],
    [";", /names none of|"" is no kind/],
    ["qemu;;container", /"" is no kind/],
  ] as const)
    assert.throws(() => kindOf(kinds, may("qemu", "container")), {
      code: "bundle-manifest-invalid",
      message: told,
    });
});

test("what a container cannot have is named, where the board would become one", () => {
  const lacks = { container: "the CAN bus body" };
  const both = bundleOf(["kernel", "rootfs"], { kinds: "qemu;container" });
  assert.equal(acceptedOf(both, 1000, { allowed: ["qemu", "container"], lacks }).kind, "qemu");
  assert.throws(() => acceptedOf(both, 1000, { allowed: ["container", "qemu"], lacks }), {
    code: "bundle-kind-refused",
    message: /would be a container, and the CAN bus body cannot be had by one$/,
  });
});

test("an image for one kind alone comes before the plain one, and is installed under the plain class", () => {
  const bundle = bundleOf(["kernel", "rootfs", "rootfs-container"], {
    "kernel-arguments": "quiet",
    "kernel-arguments-container": "init=/start",
  });
  const contentAs = (kind: BoardKind) => {
    const accepted = acceptedOf(bundle, 1000, may(kind));
    const files = accepted.images.map(({ filename }) => filename);
    return { files, content: slotContent(bundle, accepted, (label) => `/slot/${label}`) };
  };
  const machine = contentAs("qemu");
  assert.deepEqual(machine.files, ["kernel.img", "rootfs.img"]);
  assert.deepEqual([machine.content.kind, machine.content.kernelArguments], ["qemu", "quiet"]);
  const container = contentAs("container");
  assert.deepEqual(container.files, ["rootfs-container.img"]);
  assert.deepEqual(container.content.images, { rootfs: "/slot/rootfs" });
  assert.deepEqual([container.content.kind, container.content.kernelArguments], ["container", "init=/start"]);
});
