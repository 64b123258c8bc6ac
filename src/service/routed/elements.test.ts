import assert from "node:assert/strict";
import { test } from "node:test";
import { systemNames } from "../../system/names.ts";
import { absent, type Standing, shut as shutAll, takeover as takeOver } from "../network/register.ts";
import { elements, shut, takeover } from "./elements.ts";
import type { RoutedPlan } from "./plan.ts";

const names = systemNames("test");
const plan: RoutedPlan = {
  names,
  uplink: "up0",
  links: { ipv4: { a: "10.231.0.2", b: "10.231.0.3", host: "10.231.0.1", prefixLength: 29 } },
  services: [
    {
      name: "web",
      protocol: "tcp",
      address: "198.51.100.10",
      port: 80,
      insidePort: 8080,
      drainMs: 1,
      quietMs: 1,
    },
    { name: "mqtt", protocol: "tcp", address: "198.51.100.11", port: 1883, drainMs: 1, quietMs: 1 },
  ],
  stateless: [],
  markMask: 0x00ff_ffff,
  masquerade: true,
  stateDirectory: "/nonexistent",
};
const links6 = { a: "fd00::2", b: "fd00::3", host: "fd00::1", prefixLength: 64 };
const both: RoutedPlan = {
  ...plan,
  links: { ...plan.links, ipv6: links6 },
  services: [
    ...plan.services,
    {
      name: "web6",
      protocol: "tcp",
      address: "2001:db8::10",
      port: 80,
      insidePort: 8080,
      drainMs: 1,
      quietMs: 1,
    },
  ],
};
const standing = (holder: "a" | "b" | null): Standing => ({ ...absent, present: true, holder, epoch: 7 });
const t = `inet ${names.table}`;

test("a takeover states everything it leaves behind", () => {
  assert.deepEqual(takeover(plan, "b"), [
    `flush map ${t} board4`,
    `flush set ${t} cut`,
    `flush set ${t} closing4`,
    `add element ${t} board4 { ipv4 : 10.231.0.3 }`,
  ]);
});

test("a takeover moves both families at once, new work to the board's address of each", () => {
  assert.deepEqual(takeover(both, "b"), [
    `flush map ${t} board4`,
    `flush map ${t} board6`,
    `flush set ${t} cut`,
    `flush set ${t} closing4`,
    `flush set ${t} closing6`,
    `add element ${t} board4 { ipv4 : 10.231.0.3 }`,
    `add element ${t} board6 { ipv6 : fd00::3 }`,
  ]);
});

test("without a holder new work goes nowhere", () => {
  assert.match(elements(both, absent), /map board4 \{ type nf_proto : ipv4_addr; {2}\}/);
  assert.match(elements(both, standing("a")), /map board6 \{ [^}]* elements = \{ ipv6 : fd00::2 \}/);
});

test("a fenced board's flows are cut service by service", () => {
  assert.deepEqual(shut(plan, "b"), [`add element ${t} cut { 0x1800, 0x2800 }`]);
  assert.match(elements(plan, standing("a")), /set cut \{ type mark; elements = \{ 0x1800, 0x2800 \}/);
});

test("services that are not tracked leave nothing to cut", () => {
  assert.deepEqual(shut({ ...plan, services: [] }, "b"), []);
});

test("statements of the routed wiring become one line with the register's", () => {
  assert.doesNotMatch(takeOver(names, standing("a"), "b", takeover(plan, "b")), /\n/);
  assert.match(shutAll(names, 7, shut(plan, "b")), /cut \{ 0x1800, 0x2800 \}$/);
});
