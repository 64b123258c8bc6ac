import assert from "node:assert/strict";
import { test } from "node:test";
import { type ListedDevice, pciTree } from "../../test/fixtures/pci-tree.ts";
import { passableDevice } from "./pci.ts";

const card = "0000:03:00.0";
const other = "0000:03:00.1";

test("a device that is given away, alone in its group or with others that are, can be passed through", async () => {
  for (const driver of ["vfio-pci", "pcieport", undefined]) {
    await using there = await pciTree({
      [card]: { driver: "vfio-pci", group: "12" },
      [other]: { group: "12", ...(driver === undefined ? {} : { driver }) },
    });
    assert.deepEqual(await passableDevice(card, there.root), { group: "12" });
  }
});

const refusals: readonly (readonly [string, Readonly<Record<string, ListedDevice>>, RegExp])[] = [
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
    await using there = await pciTree(given);
    await assert.rejects(passableDevice(card, there.root), message);
  });
