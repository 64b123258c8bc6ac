/** What cards that boards have for themselves need of their host. Changes nothing. */
import { access } from "node:fs/promises";
import { boardNames } from "../../board/board.ts";
import type { TwinboardError } from "../../errors.ts";
import { type Finding, fine, lacking } from "../../system/finding.ts";
import type { SystemNames } from "../../system/names.ts";
import { passableDevice } from "../../system/pci.ts";
import { type Feature, lackingIpv6, trialFinding } from "../network/host.ts";
import { passedThroughTables } from "./passed-through.ts";
import { type PassedThroughPlan } from "./plan.ts";

const features: readonly Feature[] = [
  {
    name: "tables of both families",
    option: "NF_TABLES_INET",
    chain: "type filter hook prerouting priority raw; accept;",
  },
];

export async function passedThroughFindings(
  plan: PassedThroughPlan,
  names: SystemNames,
  signal: AbortSignal,
): Promise<Finding[]> {
  const lacks6 = await lackingIpv6();
  return [
    await trialFinding(names, passedThroughTables(plan), { features, modules: "nf_tables" }, signal),
    lacks6 ?? fine("IPv6", "the host has it, for its boards alone"),
    await vfioFinding(),
    ...(await Promise.all(
      boardNames.map(async (board) => await deviceFinding(`network.uplinks.${board}`, plan.devices[board])),
    )),
  ];
}

async function vfioFinding(): Promise<Finding> {
  const where = "/dev/vfio/vfio";
  const missing = await access(where).catch((error: unknown) => error);
  if (missing === undefined) return fine(where, "devices can be passed through");
  return lacking(
    where,
    "missing-kernel-feature",
    `${where} is not there (CONFIG_VFIO_PCI)`,
    "modprobe vfio-pci",
  );
}

async function deviceFinding(where: string, address: string): Promise<Finding> {
  try {
    const { group } = await passableDevice(address);
    return fine(where, `PCI device ${address} is in IOMMU group ${group}, and ready to be passed through`);
  } catch (error) {
    const { code, detail = "" } = error as TwinboardError;
    return lacking(where, code, detail);
  }
}
