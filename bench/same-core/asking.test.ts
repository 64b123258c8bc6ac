/** What asks for datagrams has a network of its own: a port that is taken on the host is not in its way. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { lookForCpuGroups } from "../../src/system/cgroup.ts";
import { askProgram } from "./asking.ts";
import { shareGroup } from "./contender.ts";

const skip =
  process.getuid?.() !== 0
    ? "needs root: network namespaces, control groups"
    : availableParallelism() < 2
      ? "needs two cores: one answers, the other asks"
      : (await lookForCpuGroups()).way === "none"
        ? "needs control groups for processor shares"
        : false;

test("datagrams are answered whatever the ports of the host are taken by", { skip }, async ({ signal }) => {
  const other = createSocket("udp4").bind(47_017, "127.0.0.1");
  try {
    // Whoever else has it already: it is taken.
    await once(other, "listening").catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE") throw error;
    });
    await using stack = new AsyncDisposableStack();
    const ask = await askProgram(stack, 0, await shareGroup(stack, "asking-test"), signal);
    const { times, sent } = await ask(200);
    assert.ok(sent > 0 && times.length > 0, `${times.length} of ${sent} were answered`);
  } finally {
    other.close();
  }
});
