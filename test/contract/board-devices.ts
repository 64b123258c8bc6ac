/** Devices that a board is given while it runs (src/board/board.ts): the part of the contract, held against each driver. */
import assert from "node:assert/strict";
import { type OnBoard, rejects } from "./board-subject.ts";

export function devicesContract(on: OnBoard): void {
  on("a device is given and let go of; each of it may be repeated", async (subject, signal) => {
    const { board, restart, software } = subject;
    const device = await subject.device();
    const { id } = device;
    assert.deepEqual(await board.plugged(), []);
    await board.unplug(id, signal);
    await rejects(board.plug(device, signal), "board-not-running");

    await board.start(software(), signal);
    await board.ready(signal);
    for (const _ of [1, 2]) await board.plug(device, signal);
    assert.deepEqual(await board.plugged(), [id]);
    await board.release();
    const next = restart();
    assert.deepEqual(await next.plugged(), [id], "the next daemon finds it");
    await next.plug(device, signal);

    await next.pause(signal);
    const asleep = await next.usage();
    assert.deepEqual(await next.plugged(), [id]);
    await rejects(next.unplug(id, signal), "board-not-running");
    await rejects(next.plug(device, signal), "board-not-running");
    assert.equal((await next.usage())?.cpuNs, asleep?.cpuNs, "nobody talks to a dormant board");
    await next.resume(signal);

    for (const _ of [1, 2]) await next.unplug(id, signal);
    assert.deepEqual(await next.plugged(), []);
    await next.plug(device, signal);
    assert.deepEqual(await next.plugged(), [id], "it may come back");
  });

  on("a device goes with the board's process", async (subject, signal) => {
    const { board, software, kill } = subject;
    const device = await subject.device();
    await board.start(software(), signal);
    await board.ready(signal);
    const enough = new Error("enough");
    await assert.rejects(board.plug(device, AbortSignal.abort(enough)), enough);
    assert.deepEqual(await board.plugged(), []);
    await board.plug(device, signal);
    await assert.rejects(board.unplug(device.id, AbortSignal.abort(enough)), enough);
    assert.deepEqual(await board.plugged(), [device.id]);
    await kill();
    while ((await board.inspect()).state !== "off") signal.throwIfAborted();
    assert.deepEqual(await board.plugged(), []);
    await board.start(software(), signal);
    assert.deepEqual(await board.plugged(), [], "a board boots with nothing plugged in");
  });
}
