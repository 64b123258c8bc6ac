import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceFindings } from "./host.ts";

const signal = AbortSignal.timeout(30_000);

void test("a device that is not there is doubtful, and may come", async () => {
  const [disk, ...others] = await deviceFindings(
    [{ name: "log", device: { kind: "disk", path: "/dev/no-such-disk" } }],
    "qemu-that-is-not-asked",
    signal,
  );
  assert.deepEqual(others, []);
  assert.equal(disk?.severity, "warning");
  assert.equal(disk?.what, "/dev/no-such-disk is not there: the service waits for it");
});

void test("a QEMU that passes no USB device on is named", async () => {
  const usb = { name: "dongle", device: { kind: "usb", is: { port: "9-9" } } } as const;
  const [dongle, qemu] = await deviceFindings([usb], "/bin/false", signal);
  assert.equal(dongle?.what, "USB port 9-9 is not there: the service waits for it");
  assert.equal(qemu?.severity, "error");
  assert.match(qemu?.what ?? "", /\/bin\/false with usb-host: /);
  const [, fine] = await deviceFindings([usb], "/bin/true", signal);
  assert.equal(fine?.severity, "ok");
});
