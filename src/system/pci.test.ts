import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { passableDevice } from "./pci.ts";

const card = "0000:03:00.0";
const other = "0000:03:00.1";

interface Device {
  readonly driver?: string;
  readonly group?: string;
}

/** A tree as sysfs has it. */
async function devices(
  given: Readonly<Record<string, Device>>,
): Promise<AsyncDisposable & { readonly root: string }> {
  const top = await mkdtemp(join(tmpdir(), "pci-"));
  const root = join(top, "devices");
  for (const [address, { driver, group }] of Object.entries(given)) {
    await mkdir(join(root, address), { recursive: true });
    await symlink("../bus/pci", join(root, address, "subsystem"));
    if (driver !== undefined) await symlink(`../drivers/${driver}`, join(root, address, "driver"));
    if (group === undefined) continue;
    const members = join(top, "groups", group, "devices");
    await mkdir(members, { recursive: true });
    await symlink(join(top, "groups", group), join(root, address, "iommu_group"));
    await symlink(join(root, address), join(members, address));
  }
  return { root, [Symbol.asyncDispose]: async () => await rm(top, { recursive: true }) };
}

test("a device that is given away, alone in its group or with others that are, can be passed through", async () => {
  for (const driver of ["vfio-pci", "pcieport", undefined]) {
    await using there = await devices({
      [card]: { driver: "vfio-pci", group: "12" },
      [other]: { group: "12", ...(driver === undefined ? {} : { driver }) },
    });
    assert.deepEqual(await passableDevice(card, there.root), { group: "12" });
  }
});

const refusals: readonly (readonly [string, Readonly<Record<string, Device>>, RegExp])[] = [
  ["is not there", { [other]: {} }, /missing: PCI device 0000:03:00\.0, see lspci -D/],
  ["has no IOMMU", { [card]: { driver: "vfio-pci" } }, /is in no IOMMU group/],
  [
    "serves the host",
    { [card]: { driver: "igb", group: "1" } },
    /0000:03:00\.0 has the driver igb: give it to vfio-pci/,
  ],
  ["has no driver", { [card]: { group: "1" } }, /0000:03:00\.0 has no driver/],
  [
    "shares its group with one that serves the host",
    { [card]: { driver: "vfio-pci", group: "1" }, [other]: { driver: "igb", group: "1" } },
    /0000:03:00\.1, which is in one IOMMU group with 0000:03:00\.0, has the driver igb/,
  ],
];

for (const [what, given, message] of refusals)
  test(`a device that ${what} is refused`, async () => {
    await using there = await devices(given);
    await assert.rejects(passableDevice(card, there.root), message);
  });
