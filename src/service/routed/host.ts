/**
 * What the routed service needs of its host: rules of its kinds really loaded, in a network namespace that ends with the command that
 * loads them; addresses and ports that nobody else has; an uplink. Changes nothing but what the kernel loads by itself: modules.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { BlockList, isIPv6 } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boardNames } from "../../board/board.ts";
import { doubtful, type Finding, fine, lacking, unseen } from "../../system/finding.ts";
import { addresses, cardState, cards, ipv6Obstacle } from "../../system/ip.ts";
import { hasTable } from "../../system/nft.ts";
import { type RunResult, run } from "../../system/process.ts";
import { readSetting } from "../../system/sysctl.ts";
import { ipv6 } from "../network/family.ts";
import { absent, registerFamily, tablesFile } from "../network/register.ts";
import { elements } from "./elements.ts";
import { listenersInTheWay } from "./listeners-in-the-way.ts";
import { linkedFamilies, portsOf, type RoutedPlan } from "./plan.ts";
import { rulesFor } from "./rules.ts";

const probeTimeoutMs = 20_000;
/** Part of the table of flows that may be in use. */
const fullTableShare = 0.8;

const filter = "type filter hook prerouting priority raw";

/** One feature after the other, asked for when the rules as a whole are refused, to name what is missing. */
export const features: readonly { readonly name: string; readonly option: string; readonly chain: string }[] =
  [
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
    ...(await firewallFindings(plan)),
  ];
}

/** Loads the table that the daemon would load. */
async function rulesFinding(plan: RoutedPlan, signal: AbortSignal): Promise<Finding> {
  const where = "nftables";
  const rules = rulesFor(plan, { ipv4: "everything", ipv6: "everything" });
  const tables = [{ family: "inet", rules, elements: () => elements(plan, absent) }] as const;
  const whole = await loadElsewhere(tablesFile(plan.names, tables, absent, []), signal);
  if (whole === "loaded")
    return fine(where, "the rules that switch the service were loaded, elsewhere, as a trial");
  if (whole.kind === "untried")
    return unseen(where, `no rules were loaded as a trial: ${whole.reason}`, "run this as root");
  const missing: string[] = [];
  for (const { name, option, chain } of features) {
    const alone = await loadElsewhere(`table inet probe { chain probe { ${chain} }; }`, signal);
    if (alone !== "loaded") missing.push(`${name} (CONFIG_${option})`);
  }
  const what = missing.length === 0 ? whole.reason : `${missing.join(", ")}: ${whole.reason}`;
  // An ordinary user's namespace may lack modules that root's would load.
  if (process.geteuid?.() !== 0)
    return unseen(where, `as this user, rules are refused: ${what}`, "run this as root");
  return lacking(
    where,
    "missing-kernel-feature",
    what,
    "load its modules (modprobe nf_tables nft_ct nft_nat nft_reject_inet)",
  );
}

type Refusal = { readonly kind: "untried" | "refused"; readonly reason: string };

/** Loads rules in a network namespace that ends with the command. */
export async function loadElsewhere(text: string, signal: AbortSignal): Promise<"loaded" | Refusal> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-check-"));
  try {
    const path = join(directory, "rules.nft");
    await writeFile(path, text);
    // The first tells whether there is an elsewhere at all.
    const namespace = await elsewhere(["true"], signal);
    if (namespace.exitCode !== 0) return { kind: "untried", reason: firstLine(namespace) };
    const { exitCode, ...said } = await elsewhere(["nft", "-f", path], signal);
    return exitCode === 0 ? "loaded" : { kind: "refused", reason: firstLine(said) };
  } catch (error) {
    return { kind: "untried", reason: (error as Error).message };
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Runs a program in a network namespace of its own; an ordinary user's is in a user namespace of its own too (unshare(1)). */
async function elsewhere(command: readonly string[], signal: AbortSignal): Promise<RunResult> {
  const own = process.geteuid?.() === 0 ? ["-n"] : ["-r", "-n"];
  const allowedExitCodes = [1, 2, 126, 127];
  return await run("unshare", [...own, ...command], { signal, timeoutMs: probeTimeoutMs, allowedExitCodes });
}

function firstLine({ stderr }: Pick<RunResult, "stderr">): string {
  return stderr.trim().split("\n")[0]?.slice(0, 300) || "it said nothing";
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

/** IPv6 in any case: the host-only cards have nothing else. */
async function familyFindings(plan: RoutedPlan): Promise<Finding[]> {
  const has6 = (await readFile("/proc/net/if_inet6", "utf8").catch(() => undefined)) !== undefined;
  if (!has6) {
    const remedy = "boot without ipv6.disable=1, or modprobe ipv6";
    return [
      lacking(
        "IPv6",
        "missing-kernel-feature",
        "IPv6, by which the daemon reaches its boards (CONFIG_IPV6)",
        remedy,
      ),
    ];
  }
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
  const ours = new Set(boardNames.map((board) => plan.names.card(board, "service")));
  const findings: Finding[] = [];
  for (const { family, links } of linkedFamilies(plan)) {
    const where = family === ipv6 ? "network.boards6" : "network.boards";
    const network = new BlockList();
    network.addSubnet(links.host, links.prefixLength, family.name);
    const clash = (await addresses()).find(
      ({ address, card }) =>
        !ours.has(card) && isIPv6(address) === (family === ipv6) && network.check(address, family.name),
    );
    const name = `${links.host}/${links.prefixLength}`;
    findings.push(
      clash === undefined
        ? fine(where, `no other card has an address in ${name}`)
        : doubtful(
            where,
            `${clash.card} has ${clash.address}, in the boards' network ${name}`,
            "name a prefix that nobody uses",
          ),
    );
  }
  return findings;
}

interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

/** Another table that drops what is passed on drops the service with it: every table has its say (nft(8), "verdict"). */
async function firewallFindings({ names }: RoutedPlan): Promise<Finding[]> {
  const where = "other rules";
  if (process.geteuid?.() !== 0)
    return [unseen(where, "whether a firewall drops what is passed on", "run this as root")];
  try {
    const { stdout } = await run("nft", ["-j", "list", "chains"]);
    const listed = (JSON.parse(stdout.toString()) as { nftables: { chain?: Chain }[] }).nftables;
    const dropping = listed
      .flatMap(({ chain }) => (chain === undefined ? [] : [chain]))
      .filter(({ hook, policy, table }) => hook === "forward" && policy === "drop" && table !== names.table);
    if (dropping.length === 0) return [fine(where, "no other table drops what is passed on by default")];
    return dropping.map(({ family, table, name }) =>
      doubtful(
        where,
        `chain ${name} of table ${family} ${table} drops what it does not know, the service's packets too`,
        `let it accept what goes from and to the cards ${boardNames.map((board) => names.card(board, "service")).join(" and ")}`,
      ),
    );
  } catch (error) {
    return [unseen(where, `they were not listed: ${(error as Error).message}`, "install nftables")];
  }
}
