/** What services that are devices need of their host: the device, free, and a QEMU that passes USB devices on. Changes nothing. */
import { doubtful, type Finding, fine, lacking } from "../../system/finding.ts";
import { run } from "../../system/process.ts";
import type { DeviceOptions } from "./device.ts";
import { findHostDevice, nameOf } from "./host-device.ts";

type Service = Pick<DeviceOptions, "name" | "device">;

const probeTimeoutMs = 20_000;

/** @param qemu the program that runs boards. Nothing where there is no such service. */
export async function deviceFindings(
  services: readonly Service[],
  qemu: string,
  signal: AbortSignal,
): Promise<Finding[]> {
  const findings = await Promise.all(services.map(deviceFinding));
  if (services.some(({ device }) => device.kind === "usb")) findings.push(await usbFinding(qemu, signal));
  return findings;
}

/** What is not there may be plugged in later: that is a trouble then, and no error. */
async function deviceFinding({ name, device }: Service): Promise<Finding> {
  const where = `services.${name}`;
  const found = await findHostDevice(device, process.geteuid?.() !== 0);
  if (typeof found !== "string") return fine(where, `${nameOf(device)} is there`);
  return doubtful(
    where,
    `${found}: the service waits for it`,
    device.kind === "disk"
      ? "see lsblk; name it by a path below /dev/disk/by-id, which stays the same"
      : "see lsusb for its vendor and product, and /sys/bus/usb/devices for its port",
  );
}

async function usbFinding(qemu: string, signal: AbortSignal): Promise<Finding> {
  const where = "usb-host";
  try {
    await run(qemu, ["-device", "usb-host,help"], { signal, timeoutMs: probeTimeoutMs });
    return fine(where, `${qemu} passes USB devices on`);
  } catch (cause) {
    const remedy = "install the package of QEMU's modules that has hw-usb-host";
    return lacking(where, "missing-program", `${qemu} with usb-host: ${(cause as Error).message}`, remedy);
  }
}
