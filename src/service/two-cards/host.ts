/** What a service on two cards needs of its host, and what may be in its way there. Changes nothing, and sends nothing. */
import { type BoardName, boardNames } from "../../board/board.ts";
import type { TwinboardError } from "../../errors.ts";
import { doubtful, type Finding, fine, lacking, unseen } from "../../system/finding.ts";
import { addresses } from "../../system/ip.ts";
import { type Link, links } from "../../system/links.ts";
import { hasTable } from "../../system/nft.ts";
import { features, ipRuleFinding, ipRulesSee } from "../bridged/host.ts";
import { bridgeOf } from "../bridged/ports.ts";
import { elsewhere, firstLine, lackingIpv6, otherRuleFindings, trialFinding } from "../network/host.ts";
import { takenByHost } from "../network/identity.ts";
import { registerFamily } from "../network/register.ts";
import type { TwoCardsPlan } from "./plan.ts";
import { twoCardsTables } from "./tables.ts";
import { bridgedPlanOf, isLinkLocal, isOwnBridge, obstacleOf, requireUplink } from "./wire.ts";

const modules = "nf_tables bridge";

/** Cards of a kind that the daemon makes, and what it is for. */
const kinds = [
  { words: "type bridge", option: "BRIDGE", what: "bridges, into which cards are put", needed: true },
  {
    words: "type veth peer name probe1",
    option: "VETH",
    what: "pairs of cards, for a double of the gateway",
    needed: false,
  },
] as const;

export async function twoCardsFindings(plan: TwoCardsPlan, signal: AbortSignal): Promise<Finding[]> {
  const found = await links();
  const lacks6 = await lackingIpv6();
  const ipRules = await Promise.all(
    boardNames.map(async (board) => {
      const { uplink } = bridgedPlanOf(plan, board, found);
      return { uplink, seen: await ipRulesSee(found.get(uplink)) };
    }),
  );
  const [{ uplink, seen } = { uplink: "", seen: undefined }] = ipRules.toSorted((one) =>
    one.seen === undefined ? 1 : -1,
  );
  return [
    await trialFinding(plan.names, twoCardsTables(plan, found), { features, modules }, signal),
    lacks6 ?? fine("IPv6", "the host has it, for its boards alone"),
    ...(await kindFindings(plan, found, signal)),
    ...(await uplinkFindings(plan, found)),
    await identityFinding(plan, found),
    gatewayFinding(plan),
    ipRuleFinding(seen, uplink),
    ...(await otherRuleFindings(plan.names, [
      "bridge",
      ...(seen === undefined ? [] : ["inet", "ip", "ip6"]),
    ])),
  ];
}

/** What the kernel can make, made in a network namespace that ends with the command. */
async function kindFindings(
  plan: TwoCardsPlan,
  found: ReadonlyMap<string, Link>,
  signal: AbortSignal,
): Promise<Finding[]> {
  const wanted = kinds.filter(
    ({ needed }) =>
      (needed && boardNames.some((board) => isOwnBridge(plan, board, found))) ||
      (!needed && (plan.gateways.ipv4 !== undefined || plan.gateways.ipv6 !== undefined)),
  );
  const tried = wanted.map(async ({ words, option, what, needed }): Promise<Finding> => {
    const where = "cards";
    try {
      const made = await elsewhere(["ip", "link", "add", "name", "probe0", ...words.split(" ")], signal);
      if (made.exitCode === 0) return fine(where, `the kernel has ${what}`);
      const missing = `${what} (CONFIG_${option}): ${firstLine(made)}`;
      if (process.geteuid?.() !== 0)
        return unseen(where, `as this user, none are made: ${missing}`, "run this as root");
      const remedy = `load the module (modprobe ${option.toLowerCase()}), or use a kernel that has it`;
      return needed
        ? lacking(where, "missing-kernel-feature", missing, remedy)
        : doubtful(
            where,
            `the kernel has no ${missing}: a new board begins by asking for its gateway`,
            remedy,
          );
    } catch (error) {
      return unseen(
        where,
        `nothing was made as a trial: ${(error as Error).message}`,
        "install util-linux and iproute2",
      );
    }
  });
  return await Promise.all(tried);
}

async function uplinkFindings(plan: TwoCardsPlan, found: ReadonlyMap<string, Link>): Promise<Finding[]> {
  const addressed = await addresses();
  // Boards that serve go on without one of their cards.
  const serves =
    process.geteuid?.() === 0 && (await hasTable(registerFamily, plan.names.table).catch(() => false));
  return boardNames.flatMap((board) => {
    const where = `network.uplinks.${board}`;
    try {
      requireUplink(plan, board, found, addressed);
      if (!isOwnBridge(plan, board, found)) bridgeOf(found, bridgedPlanOf(plan, board, found));
    } catch (error) {
      const { code, detail = "" } = error as TwinboardError;
      const others = [...found.keys()].filter((card) => card !== "lo").join(", ");
      const remedy =
        code === "missing-card" ? `name a card that exists: ${others || "there is none"}` : undefined;
      if (serves && code === "missing-card")
        return [doubtful(where, `${detail}, is gone: board ${board} is on no wire`, remedy ?? "")];
      return [lacking(where, code, detail, remedy)];
    }
    return wireFindings(plan, board, found, addressed, where);
  });
}

function wireFindings(
  plan: TwoCardsPlan,
  board: BoardName,
  found: ReadonlyMap<string, Link>,
  addressed: Awaited<ReturnType<typeof addresses>>,
  where: string,
): Finding[] {
  const uplink = plan.uplinks[board];
  const own = isOwnBridge(plan, board, found);
  const findings: Finding[] = [];
  const obstacle = obstacleOf(plan, board, found);
  // A card of ours is taken up when the daemon starts.
  if (obstacle !== null && !(own && obstacle === `${uplink} is down`))
    findings.push(
      doubtful(
        where,
        `${obstacle}: board ${board} cannot take over`,
        "see its cable, and the port at the other end",
      ),
    );
  const host = own
    ? undefined
    : addressed.find(({ card, address }) => card === uplink && !isLinkLocal(address));
  if (host !== undefined)
    findings.push(
      doubtful(
        where,
        `the host has ${host.address} on ${uplink}: its own clients reach the service only while board ${board} holds it`,
        "let the host have its address on another network, if it has clients of the service",
      ),
    );
  if (findings.length > 0) return findings;
  return [
    fine(
      where,
      own ? `${uplink} has no address, and is put into a bridge` : `${uplink} is a bridge, and leads outside`,
    ),
  ];
}

async function identityFinding(
  { identity, names }: TwoCardsPlan,
  found: ReadonlyMap<string, Link>,
): Promise<Finding> {
  const taken = await takenByHost(identity, names, found);
  if (taken !== undefined) return lacking("network.address", "address-in-use", taken);
  const own =
    identity.mac === names.sharedMac
      ? ", which follows from the system's name: another device of that name on this network needs a network.mac"
      : "";
  return fine("network.mac", `the host itself does not have the boards' MAC address ${identity.mac}${own}`);
}

function gatewayFinding({ gateways: { ipv4, ipv6 } }: TwoCardsPlan): Finding {
  const known = [ipv4, ipv6].flatMap((gateway) => gateway?.address ?? []);
  return fine(
    "network.gateway",
    known.length === 0
      ? "none is configured: a new board begins by asking for its neighbours"
      : `a standby finds a double of ${known.join(" and ")}`,
  );
}
