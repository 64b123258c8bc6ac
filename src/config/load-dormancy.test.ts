import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "./load.ts";

const good = `system: gateway
compatible: acme-gateway
trust: { keyring: keyring.pem }
boards:
  memory: 256MiB
network: { uplink: up0 }
services:
  - { name: web, protocol: tcp, address: 198.51.100.10, port: 80 }
`;

const depthOf = (depth: string) => {
  const result = parseConfig(good.replace("memory: 256MiB", `memory: 256MiB\n  dormancy: ${depth}`), "f");
  return "config" in result ? result.config.boards.dormancy : result.mistakes.map(({ message }) => message);
};

test("how deep the board sleeps that does not hold, off with and without quotes", () => {
  // YAML 1.1 would have taken it for false.
  for (const text of ["off", '"off"', "'off'"]) assert.equal(depthOf(text), "off", text);
  assert.deepEqual([depthOf("warm"), depthOf("lean")], ["warm", "lean"]);
  for (const [text, found] of [
    ["deep", ', not "deep"'],
    ["false", ", not false"],
    ["OFF", ', not "OFF"'],
    ["no", ', not "no"'],
    ["", ""],
  ] as const)
    assert.deepEqual(depthOf(text), [`expected one of warm, lean, off${found}`]);
});
