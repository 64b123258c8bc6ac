/** The commands by which devices come and go, against a small machine of the test's own that answers as QEMU does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TwinboardError } from "../../errors.ts";
import { HotPlug } from "./hot-plug.ts";

const signal = AbortSignal.timeout(10_000);
const disk = { id: "disk", kind: "disk" } as const;
const node = "/dev/twinboard/test/disk";

class Machine {
  readonly devices = new Set<string>();
  readonly disks = new Set(["rootfs"]);
  /** Commands that change something. */
  readonly done: string[] = [];
  readonly refused = new Set<string>();
  /** The guest lets go of a device as soon as it is asked. */
  obliging = true;
  readonly hotPlug = new HotPlug((command, args = {}) =>
    Promise.resolve().then(() => this.#answer(command, args)),
  );

  letGo(name: string): void {
    this.devices.delete(name);
    this.hotPlug.hear({ event: "DEVICE_DELETED", data: { device: name } });
  }

  #answer(command: string, args: Readonly<Record<string, unknown>>): unknown {
    if (command === "qom-list") return [...this.devices].map((name) => ({ name, type: "child" }));
    if (command === "query-named-block-nodes") return [...this.disks].map((name) => ({ "node-name": name }));
    const name = String(args["id"] ?? args["node-name"]);
    if (this.refused.has(command)) throw new TwinboardError("command-failed", { detail: `no ${command}` });
    this.done.push(`${command} ${name}`);
    if (command === "device_add") this.devices.add(name);
    if (command === "blockdev-add") this.disks.add(name);
    if (command === "blockdev-del") this.disks.delete(name);
    if (command === "device_del" && this.obliging) setImmediate(() => this.letGo(name));
    return {};
  }
}

void test("a disk comes and goes with its block node, and what is so is not done again", async () => {
  const machine = new Machine();
  await machine.hotPlug.plug(disk, node, false, signal);
  await machine.hotPlug.plug(disk, node, true, signal);
  assert.deepEqual(machine.done, ["blockdev-add plug-disk", "device_add plug-disk"]);
  assert.deepEqual([...(await machine.hotPlug.ids(signal))], ["disk"]);
  for (const _ of [1, 2]) await machine.hotPlug.unplug("disk", signal);
  assert.deepEqual(machine.done.slice(2), ["device_del plug-disk", "blockdev-del plug-disk"]);
  assert.deepEqual([...machine.disks], ["rootfs"]);
});

void test("a device that is refused leaves no disk open", async () => {
  const machine = new Machine();
  machine.refused.add("device_add");
  await assert.rejects(machine.hotPlug.plug(disk, node, false, signal), { code: "command-failed" });
  assert.deepEqual([...machine.disks], ["rootfs"]);
  machine.refused.clear();
  // A daemon that died between the two commands has left this.
  machine.disks.add("plug-disk");
  await machine.hotPlug.plug(disk, node, true, signal);
  assert.deepEqual(machine.done.slice(-3), [
    "blockdev-del plug-disk",
    "blockdev-add plug-disk",
    "device_add plug-disk",
  ]);
});

void test("a USB device that was pulled from the host is replaced by the one that is there now", async () => {
  const machine = new Machine();
  const dongle = { id: "dongle", kind: "usb" } as const;
  await machine.hotPlug.plug(dongle, node, false, signal);
  await machine.hotPlug.plug(dongle, node, false, signal);
  assert.deepEqual(machine.done, [
    "device_add plug-dongle",
    "device_del plug-dongle",
    "device_add plug-dongle",
  ]);
});

void test("a guest is waited for as long as the caller waits, also when it was asked before", async () => {
  const machine = new Machine();
  machine.obliging = false;
  await machine.hotPlug.plug(disk, node, false, signal);
  const impatience = new AbortController();
  const enough = new Error("enough");
  const given = machine.hotPlug.unplug("disk", impatience.signal);
  impatience.abort(enough);
  await assert.rejects(given, enough);
  assert.ok(machine.devices.has("plug-disk"));
  // QEMU refuses to ask twice, and tells when the guest has let go.
  machine.refused.add("device_del");
  const waiting = machine.hotPlug.unplug("disk", signal);
  setImmediate(() => machine.letGo("plug-disk"));
  await waiting;
  assert.deepEqual([...machine.disks], ["rootfs"]);
});
