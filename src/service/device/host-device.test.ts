import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { type DeviceMatch, findHostDevice, nameOf, numbersOf } from "./host-device.ts";

void test("numbers of a device are what the kernel means by them", async () => {
  assert.deepEqual(numbersOf((await stat("/dev/null", { bigint: true })).rdev), { major: 1, minor: 3 });
  fc.assert(
    fc.property(fc.bigInt(0n, 0xfffn), fc.bigInt(0n, 0xfffffn), (major, minor) => {
      // As the kernel tells stat(2) of 12 and 20 bits (include/linux/kdev_t.h, new_encode_dev).
      const rdev = (minor & 0xffn) | (major << 8n) | ((minor & ~0xffn) << 12n);
      assert.deepEqual(numbersOf(rdev), { major: Number(major), minor: Number(minor) });
    }),
  );
});

async function findDisk(path: string): Promise<unknown> {
  return await findHostDevice({ kind: "disk", path }, false);
}

void test("what is no disk is told", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-device-"));
  t.after(() => rm(directory, { recursive: true }));
  assert.equal(await findDisk(join(directory, "none")), `${directory}/none is not there`);
  assert.equal(await findDisk("/dev/null"), "/dev/null is no block device");
  assert.equal(await findDisk(directory), `${directory} is no block device`);
});

void test("a USB device is found by what it is, or by where it is plugged in", async (t) => {
  const sysfs = await mkdtemp(join(tmpdir(), "twinboard-device-"));
  t.after(() => rm(sysfs, { recursive: true }));
  const plugIn = async (port: string, files: Readonly<Record<string, string>>): Promise<void> => {
    await mkdir(join(sysfs, port), { recursive: true });
    for (const [name, text] of Object.entries(files)) await writeFile(join(sysfs, port, name), `${text}\n`);
  };
  const ftdi = { idVendor: "0403", idProduct: "6001", busnum: "1", devnum: "4", dev: "189:3" };
  const product: DeviceMatch = { kind: "usb", is: { vendor: "0403", product: "6001" } };
  const port: DeviceMatch = { kind: "usb", is: { port: "1-1.4" } };
  const find = (match: DeviceMatch): Promise<unknown> => findHostDevice(match, false, sysfs);

  assert.equal(await find(product), "USB device 0403:6001 is not there");
  assert.equal(await find(port), "USB port 1-1.4 is not there");
  await plugIn("usb1", { ...ftdi, idVendor: "1d6b" });
  await plugIn("1-1.4:1.0", ftdi);
  await plugIn("1-1.4", ftdi);
  await plugIn("1-1.2", { ...ftdi, idProduct: "6015", dev: "189:2" });
  const found = { type: "c", major: 189, minor: 3, identity: "189:3 1-4" };
  assert.deepEqual(await find(product), found);
  assert.deepEqual(await find(port), found);
  await plugIn("1-1.4", { devnum: "5" });
  assert.notDeepEqual(await find(port), found, "plugged in again it is another one");
  await plugIn("2-3", { ...ftdi, dev: "189:130" });
  assert.match(String(await find(product)), /more than once: name the port, one of 1-1\.4, 2-3$/);
  assert.notEqual(typeof (await find(port)), "string");
  await rm(join(sysfs, "1-1.4", "dev"));
  assert.equal(await find(port), "USB port 1-1.4 is not there", "it was pulled while it was looked at");
});

void test("people are told what is meant", () => {
  assert.equal(nameOf({ kind: "disk", path: "/dev/sdb" }), "/dev/sdb");
  assert.equal(nameOf({ kind: "usb", is: { port: "1-1" } }), "USB port 1-1");
});
