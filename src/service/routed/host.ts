/**
 * What the routed service needs of its host: rules of its kinds really loaded, in a network namespace that ends with the command that
 * loads them; addresses and ports that nobody else has; an uplink. Changes nothing but what the kernel loads by itself: modules.
 */
import { doubtful, type Finding, fine, lacking, unseen } from "../../system/finding.ts";
import { cardState, cards, ipv6Obstacle } from "../../system/ip.ts";
import { hasTable } from "../../system/nft.ts";
import { readSetting } from "../../system/sysctl.ts";
import { ipv6 } from "../network/family.ts";
import {
  elsewhere,
  type Feature,
  firstLine,
  lackingIpv6,
  otherRuleFindings,
  trialFinding,
} from "../network/host.ts";
import { absent, registerFamily } from "../network/register.ts";
import { elements } from "./elements.ts";
import { listenersInTheWay } from "./listeners-in-the-way.ts";
import { boardsKeyOf, overlaps } from "./overlap.ts";
import { linkedFamilies, portsOf, type RoutedPlan } from "./plan.ts";
import { rulesFor } from "./rules.ts";

const modules = "nf_tables nft_ct nft_nat nft_reject_inet";
/** Part of the table of flows that may be in use. */
const fullTableShare = 0.8;

const filter = "type filter hook prerouting priority raw";

/** One feature after the other, asked for when the rules as a whole are refused, to name what is missing. */
export const features: readonly Feature[] = [
  { name: "tables of both families", option: "NF_TABLES_INET", chain: `${filter}; accept;` },
  { name: "marks of tracked flows", option: "NFT_CT", chain: `${filter}; ct mark set ct mark | 1;` },
  { name: "flows that are not tracked", option: "NFT_CT", chain: `${filter}; notrack;` },
  {
    name: "verdict maps",
    option: "NF_TABLES",
    chain: `${filter}; meta length vmap { 40 : accept, 60 : drop };`,
  },
  {
    name: "refusing by reset",
    option: "NFT_REJECT_INET",
    chain: "type filter hook input priority 0; meta l4proto tcp reject with tcp reset;",
  },
  {
    name: "another destination",
    option: "NFT_NAT",
    chain: "type nat hook prerouting priority 0; dnat ip to 192.0.2.1;",
  },
  {
    name: "another source",
    option: "NFT_MASQ",
    chain: "type nat hook postrouting priority 0; masquerade;",
  },
];

export async function routedFindings(plan: RoutedPlan, signal: AbortSignal): Promise<Finding[]> {
  return [
    await rulesFinding(plan, signal),
    await trackingFinding(signal),
    await uplinkFinding(plan),
    ...(await familyFindings(plan)),
    ...(await listenerFindings(plan)),
    ...(await linkFindings(plan)),
    ...(await otherRuleFindings(plan.names, ["inet", "ip", "ip6"])),
  ];
}

/** Loads the table that the daemon would load. */
async function rulesFinding(plan: RoutedPlan, signal: AbortSignal): Promise<Finding> {
  const rules = rulesFor(plan, { ipv4: "everything", ipv6: "everything" });
  const tables = [{ family: "inet", rules, elements: () => elements(plan, absent) }] as const;
  return await trialFinding(plan.names, tables, { features, modules }, signal);
}

/** The drain reads the table of flows, and counts what passes. */
async function trackingFinding(signal: AbortSignal): Promise<Finding> {
  const where = "conntrack";
  // The kernel has a table of flows once a rule asks about one.
  const rules = "table inet probe { chain probe { type filter hook input priority 0; ct state new; }; }";
  const script = `printf %s "$1" | nft -f - && conntrack -L && cat /proc/sys/net/netfilter/nf_conntrack_acct`;
  try {
    const result = await elsewhere(["sh", "-c", script, "sh", rules], signal);
    if (result.exitCode === 0) return await tableFinding(where);
    if (process.geteuid?.() !== 0)
      return unseen(where, `flows were not listed: ${firstLine(result)}`, "run this as root");
    const remedy = "load its modules (modprobe nf_conntrack nf_conntrack_netlink)";
    return lacking(
      where,
      "missing-kernel-feature",
      `flows cannot be listed or counted: ${firstLine(result)}`,
      remedy,
    );
  } catch (error) {
    return unseen(
      where,
      `flows were not listed: ${(error as Error).message}`,
      "install conntrack and nftables",
    );
  }
}

/** In a full table no connection begins (Documentation/networking/nf_conntrack-sysctl.rst). */
async function tableFinding(where: string): Promise<Finding> {
  const setting = "net/netfilter/nf_conntrack_max";
  const [most, count] = await Promise.all(
    [setting, "net/netfilter/nf_conntrack_count"].map(async (path) =>
      Number(await readSetting(path).catch(() => "0")),
    ),
  );
  // Nothing is tracked here yet if the kernel has no figures.
  if (most === undefined || count === undefined || count < most * fullTableShare || most === 0)
    return fine(where, "flows are listed, and can be counted");
  return doubtful(
    where,
    `the kernel's table of flows is nearly full: ${count} of ${most}`,
    `sysctl -w ${setting}=${most * 4}`,
  );
}

async function uplinkFinding({ uplink }: RoutedPlan): Promise<Finding> {
  const where = "network.uplink";
  const state = await cardState(uplink);
  if (state === undefined) {
    const others = [...(await cards())].filter((card) => card !== "lo").join(", ");
    return lacking(
      where,
      "missing-card",
      `${uplink}, the uplink`,
      `name a card that exists: ${others || "there is none"}`,
    );
  }
  if (state === "up" || state === "unknown")
    return fine(where, `${uplink} is ${state === "up" ? "up" : "there"}`);
  return doubtful(
    where,
    `${uplink} is ${state}: nobody reaches the service`,
    `see its cable, then ip link set ${uplink} up`,
  );
}

async function familyFindings(plan: RoutedPlan): Promise<Finding[]> {
  const lacks6 = await lackingIpv6();
  if (lacks6 !== undefined) return [lacks6];
  const findings: Finding[] = [];
  const families = linkedFamilies(plan).map(({ family }) => family);
  const obstacle = await ipv6Obstacle(plan.uplink);
  if (!families.includes(ipv6)) findings.push(fine("IPv6", "the host has it, for its boards alone"));
  else if ((await cardState(plan.uplink)) === undefined)
    findings.push(unseen("IPv6", `${plan.uplink} is not there`, "see network.uplink"));
  else if (obstacle !== undefined) findings.push(lacking("IPv6", "no-ipv6", obstacle));
  else findings.push(fine("IPv6", `${plan.uplink} speaks it`));
  for (const { name } of families) {
    const forwarding =
      name === "ipv4" ? `net/ipv4/conf/${plan.uplink}/forwarding` : "net/ipv6/conf/all/forwarding";
    const is = (await readSetting(forwarding).catch(() => undefined)) === "1";
    findings.push(
      fine(
        forwarding,
        is
          ? "on"
          : "off: the daemon lets only the service's packets pass, and puts it back when it goes down",
      ),
    );
  }
  return findings;
}

/** A listener of the host on a service's address would no longer be reached, and the cut needs the port. */
async function listenerFindings(plan: RoutedPlan): Promise<Finding[]> {
  const { names, services, stateless } = plan;
  // Where the rules are in place already, nobody could have begun to listen unnoticed.
  if (process.geteuid?.() === 0 && (await hasTable(registerFamily, names.table).catch(() => false)))
    return [];
  const inTheWay = await listenersInTheWay(plan);
  return [...services, ...stateless].map((service) => {
    const where = `services.${service.name}`;
    const taken = inTheWay.find(({ name }) => name === service.name);
    if (taken !== undefined) {
      const program = taken.protocol === "tcp" ? "ss -ltnp" : "ss -lunp";
      const remedy = `see who it is by ${program} 'sport = :${taken.port}'; end it, or give it another address`;
      return lacking(where, "address-in-use", taken.what, remedy);
    }
    if (service.protocol === "icmp")
      return fine(where, `${service.address} answers as long as the board in service does`);
    return fine(
      where,
      `nobody else listens on ${service.address} ${service.protocol === "udp" ? "UDP " : ""}port ${portsOf(service)}`,
    );
  });
}

/** The boards' private network must not be somebody else's. */
async function linkFindings(plan: RoutedPlan): Promise<Finding[]> {
  const found = await overlaps(plan);
  return linkedFamilies(plan).map(({ family, links }) => {
    const where = boardsKeyOf(family);
    const overlap = found.find(({ key }) => key === where);
    if (overlap === undefined)
      return fine(where, `no other card has an address in ${links.host}/${links.prefixLength}`);
    const { what, remedy, refused } = overlap;
    return refused ? lacking(where, "address-in-use", what, remedy) : doubtful(where, what, remedy);
  });
}
