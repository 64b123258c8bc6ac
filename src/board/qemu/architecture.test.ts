import assert from "node:assert/strict";
import { test } from "node:test";
import { systemNames } from "../../system/names.ts";
import { architectureNames, architectureOf, architectures, hostArchitecture } from "./architecture.ts";
import { qemuArguments } from "./command-line.ts";

test("machines are of the host's architecture unless another is named; a host of none must name one", () => {
  assert.equal(hostArchitecture("x64"), "x86-64");
  assert.equal(hostArchitecture("arm64"), "arm64");
  assert.equal(hostArchitecture("riscv64"), undefined);
  assert.equal(architectureOf(undefined, "arm64").name, "arm64");
  assert.equal(architectureOf("arm64", "x64").name, "arm64");
  assert.equal(architectureOf("x86-64", "riscv64").name, "x86-64");
  assert.throws(() => architectureOf(undefined, "riscv64"), {
    code: "config-invalid",
    message: /this host is riscv64/,
  });
});

test("each architecture has its machine, its console and nothing of the other's", () => {
  const names = systemNames("gateway");
  const lines = architectureNames.map((name) =>
    qemuArguments({
      name: "a",
      names,
      instance: "6f1c1d1e-0000-4000-8000-000000000001",
      memoryBytes: 256 * 1024 * 1024,
      cpus: 1,
      architecture: architectures[name],
      accelerator: "tcg",
      identity: { mac: names.mac("a", "service"), wire: "link" },
      kernelArguments: "quiet",
      initrd: true,
      diskIo: "native",
    }).join(" "),
  );
  const [pc = "", arm = ""] = lines;
  assert.match(pc, /-machine q35,.* -device pvpanic .* console=ttyS0 panic=-1 no_timer_check /);
  assert.match(
    arm,
    /-machine virt,.* -cpu cortex-a72 .* -device pvpanic-pci .* console=ttyAMA0 panic=-1 twinboard/,
  );
  assert.doesNotMatch(arm, /isa-|q35|ttyS0|no_timer_check/);
});
