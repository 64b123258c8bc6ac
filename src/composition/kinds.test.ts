import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../config/load.ts";
import { kindRulesOf } from "./kinds.ts";

function parsed(kind: string, service: string): ReturnType<typeof parseConfig> {
  const text = [
    "system: gateway",
    "compatible: acme",
    "trust: { keyring: keyring.pem }",
    `boards: { kind: ${kind}, memory: 64MiB }`,
    "network: { mode: none }",
    `services: [${service}]`,
  ].join("\n");
  return parseConfig(text, "f");
}

const line = "{ name: plc, serial: /dev/ttyS1 }";
const can = "{ name: body, can: can0 }";

test("what a container cannot have is named to the slot of a board that may be either kind", () => {
  for (const [service, lack] of [
    [line, "the serial line or stream plc"],
    [can, "the CAN bus body"],
  ] as const) {
    const result = parsed("[qemu, container]", service);
    assert.ok("config" in result, JSON.stringify(result));
    for (const name of ["a", "b"] as const)
      assert.deepEqual(kindRulesOf(result.config, name), {
        allowed: ["qemu", "container"],
        lacks: { container: lack },
      });
  }
  const disk = parsed("[qemu, container]", '{ name: log, device: { virtio-blk: "/dev/sda" } }');
  assert.ok("config" in disk, JSON.stringify(disk));
  assert.deepEqual(kindRulesOf(disk.config, "a").lacks, {});
});

test("where one board can only be a container, the configuration itself is refused", () => {
  for (const service of [line, can]) {
    const result = parsed("{ a: qemu, b: container }", service);
    assert.ok("mistakes" in result);
    assert.match(result.mistakes[0]?.message ?? "", /can be had by boards of kind qemu alone/);
  }
});
