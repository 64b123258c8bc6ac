import assert from "node:assert/strict";
import { test } from "node:test";
import { transactionsIn } from "./kernel-time.ts";

test("the time of a transaction is that of its sendmsg; an end whose beginning was not seen is left out", () => {
  const trace = `# tracer: nop
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
             nft-10094   [000] .....   720.336269: sys_sendmsg -> 0xa0
             nft-10088   [000] .....   721.330999: sys_sendmsg(fd: 3, msg: 0x7fff33e0d4a0, flags: 0)
             nft-10088   [001] .N...   721.331036: sys_sendmsg -> 0xdc
             nft-10088   [000] .....   722.000000: sys_sendmsg(fd: 3, msg: 0x7fff33e0d4a0, flags: 0)
             nft-10088   [000] .....   722.000500: sys_sendmsg -> 0xdc
             nft-10088   [000] .....   723.000000: sys_sendmsg(fd: 3, msg: 0x7fff33e0d4a0, flags: 0)
`;
  const rounded = transactionsIn(trace).map(({ beganMs, ms }) => [
    Math.round(beganMs),
    Math.round(ms * 1000),
  ]);
  assert.deepEqual(rounded, [
    [721_331, 37],
    [722_000, 500],
  ]);
  assert.deepEqual(transactionsIn(""), []);
});
