/** What the driver does to the kernel's rules, in which order; the kernel is a stand-in (test/fixtures/can). */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { CanStandIn } from "../../../test/fixtures/can/can-stand-in.ts";
import { boardNames } from "../../board/board.ts";
import { rulesAt } from "./rules.ts";

const signal = AbortSignal.timeout(50_000);

void test("rules change in the order in which nobody loses a frame, and other rules stay", async () => {
  await using host = await CanStandIn.make();
  const service = host.daemon();
  await host.write("rules", ["-s can0 -d lo -e"]);
  await service.setUp(signal);
  await service.settle("a", 1, signal);
  await host.write("log", []);
  const [a, b] = boardNames.map((board) => host.end(board));
  await service.lease("b", 2, signal);
  await service.settle("b", 2, signal);
  await service.settle("b", 2, signal);
  assert.deepEqual(await host.lines("log"), [
    `- -s ${a} -d can0 -e`,
    `+ -s can0 -d ${b}`,
    `+ -s ${b} -d can0 -e`,
    `- -s can0 -d ${a}`,
  ]);
  await service.tearDown(signal);
  assert.deepEqual(await host.lines("rules"), ["-s can0 -d lo -e"]);
  assert.deepEqual(await host.lines("cards"), ["lo", "can0"]);
});

void test("rules that somebody took away or doubled are put right by the next look", async () => {
  await using host = await CanStandIn.make();
  const service = host.daemon();
  await service.setUp(signal);
  await service.settle("a", 1, signal);
  const wires = { names: host.names, name: "bus", bus: "can0", fd: false };
  const right = [...rulesAt(wires, { verb: "settle", board: "a" })].toSorted();
  for (const rules of [[], [...right, ...right], [`-s ${host.end("b")} -d can0 -e`]]) {
    await host.write("rules", rules);
    const { holder, trouble } = await host.daemon().inspect();
    assert.deepEqual({ holder, trouble }, { holder: "a", trouble: null });
    assert.deepEqual((await host.lines("rules")).toSorted(), right);
  }
});

void test("who speaks is told, when it cannot be put right", async () => {
  await using host = await CanStandIn.make();
  const service = host.daemon();
  await service.setUp(signal);
  await service.settle("a", 1, signal);
  await host.write("rules", [`-s ${host.end("b")} -d can0 -e`]);
  // A card that is gone cannot be joined.
  await host.write("cards", ["lo", "can0", host.end("b")]);
  const { holder, trouble } = await service.inspect();
  assert.equal(holder, null);
  assert.match(trouble ?? "", /rules that join can0 .*exit code 237: netlink error -19/);
  await service.attach("a", signal);
  assert.equal(
    (await host.daemon().inspect()).trouble,
    null,
    "the card is made again before the board boots",
  );
});

void test("a kernel without the gateway is named", async () => {
  await using host = await CanStandIn.make();
  const answer = '#!/bin/sh\necho "received msg from unknown family 2"\nexit 36\n';
  await writeFile(join(host.directory, "cangw"), answer, { mode: 0o755 });
  await assert.rejects(host.daemon().setUp(signal), {
    code: "missing-kernel-feature",
    message: /CONFIG_CAN_GW/,
  });
});

void test("a gateway that refuses a rule fails the takeover", async () => {
  await using host = await CanStandIn.make();
  const service = host.daemon();
  await service.setUp(signal);
  await host.write("cards", ["lo", "can0", host.end("a")]);
  await assert.rejects(service.settle("b", 1, signal), {
    code: "takeover-failed",
    message: /cangw: exit code 237: netlink error -19 \(No such device\)/,
  });
  const { holder, epoch } = await service.inspect();
  assert.deepEqual({ holder, epoch }, { holder: null, epoch: 1 });
});
