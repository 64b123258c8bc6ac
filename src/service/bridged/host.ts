/** What the bridged service needs of its host, and what may be in its way there. Changes nothing, and sends nothing. */
import { boardNames } from "../../board/board.ts";
import type { TwinboardError } from "../../errors.ts";
import { doubtful, type Finding, fine, lacking } from "../../system/finding.ts";
import { neighbours } from "../../system/ip.ts";
import { type Link, links, portVlans, whereIs } from "../../system/links.ts";
import { hasSetting, readSetting } from "../../system/sysctl.ts";
import { type Feature, lackingIpv6, otherRuleFindings, trialFinding } from "../network/host.ts";
import { takenByHost } from "../network/identity.ts";
import { bridgedTables } from "./bridged.ts";
import type { BridgedPlan } from "./plan.ts";
import { bridgeOf } from "./ports.ts";
import { leadsOutside } from "./troubles.ts";

const modules = "nf_tables bridge";
const hook = "type filter hook prerouting priority -300";

/** Asked for one by one when the rules as a whole are refused. */
export const features: readonly Feature[] = [
  { name: "tables of both families", option: "NF_TABLES_INET", chain: `${hook}; accept;` },
  { name: "tables of bridges", option: "NF_TABLES_BRIDGE", family: "bridge", chain: `${hook}; accept;` },
];

/** What a board sends by default; a bridge with less drops its longest frames. */
const boardMtu = 1500;

export async function bridgedFindings(plan: BridgedPlan, signal: AbortSignal): Promise<Finding[]> {
  const found = await links();
  const lacks6 = await lackingIpv6();
  const ipRules = await ipRulesSee(found.get(plan.uplink));
  return [
    await trialFinding(plan.names, bridgedTables(plan), { features, modules }, signal),
    lacks6 ?? fine("IPv6", "the host has it, for its boards alone"),
    ...(await bridgeFindings(plan, found)),
    ...(await identityFindings(plan, found)),
    ipRuleFinding(ipRules, plan.uplink),
    ...(await otherRuleFindings(plan.names, [
      "bridge",
      ...(ipRules === undefined ? [] : ["inet", "ip", "ip6"]),
    ])),
  ];
}

/** @param ipRules what `ipRulesSee` says of that bridge. */
export function ipRuleFinding(ipRules: string | undefined, bridge: string): Finding {
  if (ipRules === undefined) return fine(callIpRules, "off: bridged frames pass no rules for IP");
  return doubtful(
    ipRules,
    "bridged frames pass the host's rules for IP too, and whatever these drop or rewrite does not reach the service",
    `sysctl -w ${callIpRules}=0 (and ip link set ${bridge} type bridge nf_call_iptables 0), or see that the rules let it pass`,
  );
}

const callIpRules = "net.bridge.bridge-nf-call-iptables";

/** By which setting bridged frames pass rules for IP (br_netfilter); `undefined`: they do not. */
export async function ipRulesSee(bridge: Link | undefined): Promise<string | undefined> {
  if (bridge?.bridge?.callsIpRules === true) return `${bridge.name} nf_call_iptables`;
  for (const setting of ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"]) {
    const path = `net/bridge/${setting}`;
    if ((await hasSetting(path)) && (await readSetting(path)) !== "0") return `net.bridge.${setting}`;
  }
  return undefined;
}

async function bridgeFindings(plan: BridgedPlan, found: ReadonlyMap<string, Link>): Promise<Finding[]> {
  const { uplink } = plan;
  const where = "network.uplink";
  let bridge: Link;
  try {
    bridge = bridgeOf(found, plan);
  } catch (error) {
    const { code, detail = "" } = error as TwinboardError;
    const bridges = [...found.values()].filter((link) => link.bridge !== undefined).map(({ name }) => name);
    const remedy = `name a bridge that exists: ${bridges.join(", ") || "there is none"}`;
    return [lacking(where, code, detail, code === "missing-card" ? remedy : undefined)];
  }
  const findings: Finding[] = [];
  if (!bridge.up) findings.push(doubtful(where, `${uplink} is down`, `ip link set ${uplink} up`));
  if (!leadsOutside(found, plan))
    findings.push(
      doubtful(
        where,
        `no other port of ${uplink} has a link: nobody outside reaches the service`,
        `put the card towards the outside into it (ip link set CARD master ${uplink}), and see its cable`,
      ),
    );
  if (bridge.mtu < boardMtu)
    findings.push(
      doubtful(
        where,
        `${uplink} takes frames of ${bridge.mtu} bytes, boards send up to ${boardMtu}`,
        "lower the MTU of the service's card inside the boards",
      ),
    );
  if (findings.length === 0) findings.push(fine(where, `${uplink} is a bridge, and leads outside`));
  return [...findings, ...(await vlanFindings(plan, found))];
}

/** A port of a VLAN that no other port has leads nowhere. */
async function vlanFindings(
  { uplink, names, vlans: { untagged, tagged } }: BridgedPlan,
  found: ReadonlyMap<string, Link>,
): Promise<Finding[]> {
  const ours = new Set(boardNames.map((board) => names.card(board, "service")));
  const others = [...found.values()].filter(({ name, port }) => port?.bridge === uplink && !ours.has(name));
  const there = new Set(
    (await Promise.all(others.map(({ name }) => portVlans(name)))).flat().map(({ vlan }) => vlan),
  );
  return [...(untagged === null ? [] : [untagged]), ...tagged].map((vlan) => {
    const where = vlan === untagged ? "network.vlan" : "network.vlans";
    if (there.has(vlan)) return fine(where, `${uplink} has other ports of VLAN ${vlan}`);
    const remedy = `bridge vlan add vid ${vlan} dev CARD, for the card towards the outside`;
    return doubtful(where, `no other port of ${uplink} is of VLAN ${vlan}`, remedy);
  });
}

/** As far as it can be seen without asking anybody. */
async function identityFindings(plan: BridgedPlan, found: ReadonlyMap<string, Link>): Promise<Finding[]> {
  const { uplink, identity, names } = plan;
  const where = "network.address";
  const taken = await takenByHost(plan.identity, plan.names, found);
  if (taken !== undefined) return [lacking(where, "address-in-use", taken)];
  const findings: Finding[] = [];
  if (found.get(uplink)?.bridge !== undefined) {
    const [elsewhere] = await whereIs(uplink, identity.mac);
    if (elsewhere !== undefined)
      findings.push(
        doubtful(
          "network.mac",
          `${uplink} knows the MAC address ${identity.mac} behind ${elsewhere.port}: somebody there sends with it`,
          "give the boards another network.mac, or end who has it",
        ),
      );
  }
  const known = (await neighbours()).find(
    ({ address, mac }) => [identity.ipv4, identity.ipv6].includes(address) && mac !== identity.mac,
  );
  if (known !== undefined)
    findings.push(
      doubtful(
        where,
        `the host knows ${known.address} as ${known.mac}: somebody else has the address`,
        "give the boards another network.address, or end who has it",
      ),
    );
  if (findings.length > 0) return findings;
  const own =
    identity.mac === names.sharedMac
      ? ", which follows from the system's name: another device of that name on this network needs a network.mac"
      : "";
  return [fine("network.mac", `nobody is known to have the boards' MAC address ${identity.mac}${own}`)];
}
