import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDriverCounts } from "./device.ts";

const table = `serinfo:1.0 driver revision:
0: uart:16550A port:000003F8 irq:4 tx:1845 rx:172 RTS|CTS|DTR|DSR|CD
1: uart:16550A port:000002F8 irq:3 tx:10 rx:99 fe:2 oe:3 bo:4 CTS|DSR|CD
2: uart:unknown port:000003E8 irq:4
10: uart:16550A port:0000C160 irq:21 tx:0 rx:0 oe:7
`;

test("what the driver of a serial port tells is read from its own row", () => {
  assert.deepEqual(parseDriverCounts(table, "0"), { found: true, droppedBytes: 0 });
  assert.deepEqual(parseDriverCounts(table, "1"), { found: true, droppedBytes: 7 });
  assert.deepEqual(parseDriverCounts(table, "2"), { found: false, droppedBytes: 0 });
  assert.deepEqual(parseDriverCounts(table, "10"), { found: true, droppedBytes: 7 });
  assert.equal(parseDriverCounts(table, "3"), undefined);
  assert.equal(parseDriverCounts("", "0"), undefined);
});
