import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pciTree } from "../fixtures/pci-tree.ts";
import { SwitchLab, serviceAddresses, serviceMac, sharedIdentity } from "../fixtures/switch-lab.ts";
import { serviceContract } from "./service.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const devices = { a: "0000:03:00.0", b: "0000:04:00.0" } as const;
const ready = {
  [devices.a]: { driver: "vfio-pci", group: "3" },
  [devices.b]: { driver: "vfio-pci", group: "4" },
};

async function labOver(root: string): Promise<SwitchLab> {
  return await SwitchLab.make("contract", {
    uplinks: ["up0"],
    deviceAddressed: false,
    boards: sharedIdentity,
    program: join(import.meta.dirname, "../fixtures/passed-through/daemon.ts"),
    settings: { devices, identity: { mac: serviceMac, ...serviceAddresses }, root },
  });
}

serviceContract(
  "passed through",
  async () => {
    const tree = await pciTree(ready);
    const lab = await labOver(tree.root);
    let daemon = lab.daemon();
    return {
      service: daemon,
      restart: async () => {
        await daemon.peer.kill();
        daemon = lab.daemon();
        return daemon;
      },
      [Symbol.asyncDispose]: async () => {
        await lab[Symbol.asyncDispose]();
        await tree[Symbol.asyncDispose]();
      },
    };
  },
  skip,
  "everything",
);

test("a card that is not ready is refused; one that goes while boards serve is told, and they serve on", {
  skip,
}, async () => {
  const signal = AbortSignal.timeout(60_000);
  await using tree = await pciTree({ ...ready, "0000:04:00.1": { driver: "igb", group: "4" } });
  await using lab = await labOver(tree.root);
  await assert.rejects(
    lab.daemon().setUp(signal),
    /0000:04:00\.1, which is in one IOMMU group with 0000:04:00\.0, has the driver igb/,
  );
  await using good = await pciTree(ready);
  const daemon = lab.daemon({ root: good.root });
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await good.remove(devices.b);
  const [trouble] = await daemon.troubles();
  assert.match(trouble?.what ?? "", /board b: .*PCI device 0000:04:00\.0/);
  const next = lab.daemon({ root: good.root });
  await next.setUp(signal);
  assert.equal((await next.inspect()).holder, "a");
});
