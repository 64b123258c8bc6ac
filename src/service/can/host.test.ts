import assert from "node:assert/strict";
import { test } from "node:test";
import { canFindings } from "./host.ts";

void test("what CAN lacks on this host is named, or nothing", async () => {
  const signal = AbortSignal.timeout(30_000);
  assert.deepEqual(await canFindings([], signal), []);
  const [kernel, bus] = await canFindings([{ name: "bus", bus: "no-such-bus" }], signal);
  assert.equal(bus?.severity, "warning");
  assert.match(bus?.what ?? "", /no-such-bus is not there/);
  const said = `${kernel?.severity}: ${kernel?.what}`;
  assert.match(said, /^(ok: a pair|unknown: no pair|error: .*(CONFIG_CAN_VXCAN|CONFIG_CAN_GW|cangw))/);
});
