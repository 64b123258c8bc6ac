/** The door to PCI devices that are given to boards (sysfs; Documentation/driver-api/vfio.rst). Nothing is bound or unbound here. */
import { readdir, readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { TwinboardError } from "../errors.ts";

export interface PassableDevice {
  /** The number under which /dev/vfio has it. */
  readonly group: string;
}

/** The driver that gives devices away. */
const givingDriver = "vfio-pci";
/** Bridges stay with the host: they have no driver, or the port driver. */
const harmlessDrivers: ReadonlySet<string | undefined> = new Set([undefined, givingDriver, "pcieport"]);

/**
 * A device that can be passed through now, with all of its group. Errors: `missing-card` (there is no such device, or the host has no
 * IOMMU for it), `uplink-unfit` (another driver has it, or one of its group), each with what to do.
 * @param root where the devices are listed.
 */
export async function passableDevice(
  address: string,
  root = "/sys/bus/pci/devices",
): Promise<PassableDevice> {
  const device = join(root, address);
  const ours = await linkName(join(device, "subsystem"));
  if (ours === undefined)
    throw new TwinboardError("missing-card", { detail: `PCI device ${address}, see lspci -D` });
  const group = await linkName(join(device, "iommu_group"));
  if (group === undefined)
    throw new TwinboardError("missing-card", {
      detail: `PCI device ${address} is in no IOMMU group: switch the IOMMU on (firmware; intel_iommu=on)`,
    });
  for (const one of await readdir(join(device, "iommu_group", "devices"))) {
    const driver = await linkName(join(root, one, "driver"));
    const fits = one === address ? driver === givingDriver : harmlessDrivers.has(driver);
    if (fits) continue;
    const whose = one === address ? "" : `, which is in one IOMMU group with ${address},`;
    throw new TwinboardError("uplink-unfit", {
      detail: `PCI device ${one}${whose} ${driver === undefined ? "has no driver" : `has the driver ${driver}`}: give it to ${givingDriver} (driverctl set-override ${one} ${givingDriver})`,
    });
  }
  return { group };
}

async function linkName(path: string): Promise<string | undefined> {
  return await readlink(path).then(
    (target) => basename(target),
    () => undefined,
  );
}
