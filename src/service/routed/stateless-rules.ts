/**
 * The rules for services whose datagrams are each on their own: not tracked, because a tracked flow would stay with the board that it began
 * with. Each datagram's destination becomes the holder's address, each answer's source the service's. Only the element of the map `board`
 * changes at a takeover.
 */
import { boardNames } from "../../board/board.ts";
import { type Family, familyOf } from "../network/family.ts";
import {
  type Endpoint,
  insidePortsOf,
  linksOf,
  portsOf,
  type RoutedPlan,
  rangeFlag,
  type StatelessService,
} from "./plan.ts";

interface Numbered<Kind extends StatelessService = StatelessService> {
  readonly service: Kind;
  readonly index: number;
}

const echoes: Readonly<Record<Family["name"], string>> = { ipv4: "icmp type echo", ipv6: "icmpv6 type echo" };

function ofFamily(plan: RoutedPlan, family: Family): Numbered[] {
  return plan.stateless.flatMap((service, index) =>
    familyOf(service.address) === family ? [{ service, index }] : [],
  );
}

type Datagrams = Extract<StatelessService, { protocol: "udp" }>;

function datagramsOf(plan: RoutedPlan, family: Family): Numbered<Datagrams>[] {
  return ofFamily(plan, family).flatMap(({ service, index }) =>
    service.protocol === "udp" ? [{ service, index }] : [],
  );
}

function echoOf(plan: RoutedPlan, family: Family): Numbered | undefined {
  return ofFamily(plan, family).find(({ service }) => service.protocol === "icmp");
}

/** Sets, maps and chains of one family in the table; none without such services. `cards` and `board` are there. */
export function statelessRules(plan: RoutedPlan, family: Family): string {
  const all = ofFamily(plan, family);
  if (all.length === 0) return "";
  const { suffix, header } = family;
  const datagrams = datagramsOf(plan, family);
  const echo = echoOf(plan, family);
  const there = [
    ...(datagrams.length === 0 ? [] : [`${header} daddr . meta l4proto . th dport vmap @stateless${suffix}`]),
    ...(echo === undefined
      ? []
      : [`${echoes[family.name]}-request ${header} daddr ${echo.service.address} goto there_${echo.index}`]),
  ];
  const boards = boardNames.map((board) => linksOf(plan, family)[board]).join(", ");
  const fromBoard = `ct state untracked ${header} saddr { ${boards} }`;
  const back = [
    ...(datagrams.length === 0 ? [] : [`${fromBoard} meta l4proto . th sport vmap @answers${suffix}`]),
    ...(echo === undefined ? [] : [`${fromBoard} ${echoes[family.name]}-reply goto back_${echo.index}`]),
  ];
  return `
${datagrams.length === 0 ? "" : datagramMaps(datagrams, family)}
${all.map((one) => chains(one, family)).join("\n")}
chain stateless${suffix} {
  type filter hook prerouting priority raw; policy accept;
  iifname @cards ${header} saddr { ${boards} } goto answer${suffix}
  ${there.join("\n  ")}
}
chain answer${suffix} {
  ${answers(plan, family, "s", "reply")
    .map((match) => `${match} notrack`)
    .join("\n  ")}
}
# the route is looked up anew, because the destination is another one
chain stateless_own${suffix} {
  type route hook output priority raw; policy accept;
  ${there.join("\n  ")}
}
chain answer_out${suffix} {
  type filter hook postrouting priority srcnat; policy accept;
  ${back.join("\n  ")}
}
chain answer_in${suffix} {
  type filter hook input priority filter + 10; policy accept;
  iifname @cards goto answer_home${suffix}
}
chain answer_home${suffix} {
  ${back.join("\n  ")}
}`;
}

function datagramMaps(datagrams: readonly Numbered<Datagrams>[], { suffix, addressType }: Family): string {
  const services = datagrams.map(({ service }) => service);
  const there = datagrams.map(
    ({ service, index }) => `${service.address} . udp . ${portsOf(service)} : goto there_${index}`,
  );
  const back = datagrams.map(({ service, index }) => `udp . ${insidePortsOf(service)} : goto back_${index}`);
  return `
map stateless${suffix} {
  type ${addressType} . inet_proto . inet_service : verdict; ${rangeFlag(services)}
  elements = { ${there.join(", ")} }
}
map answers${suffix} {
  type inet_proto . inet_service : verdict; ${rangeFlag(services)}
  elements = { ${back.join(", ")} }
}`;
}

/** Without a holder there is nobody to hear it: the host itself must not answer in a board's place. */
function chains({ service, index }: Numbered, { suffix, header }: Family): string {
  const insidePort = service.protocol === "udp" ? service.insidePort : undefined;
  const portThere = insidePort === undefined ? "" : `udp dport set ${insidePort}`;
  const portBack = insidePort === undefined ? "" : `udp sport set ${(service as Datagrams).port}`;
  return `
chain there_${index} {
  notrack
  ${portThere}
  ${header} daddr set meta nfproto map @board${suffix} accept
  drop
}
chain back_${index} {
  ${portBack}
  ${header} saddr set ${service.address} accept
}`;
}

/** What a stateless datagram looks like on a board's wire, as matches: ports and types inside. */
function answers(plan: RoutedPlan, family: Family, end: "s" | "d", echo: "reply" | "request"): string[] {
  const ports = datagramsOf(plan, family).map(({ service }) => insidePortsOf(service as Endpoint));
  return [
    ...(ports.length === 0 ? [] : [`udp ${end}port { ${ports.join(", ")} }`]),
    ...(echoOf(plan, family) === undefined ? [] : [`${echoes[family.name]}-${echo}`]),
  ];
}

/** Rules by which the fence lets such datagrams pass, to a board or from one; nothing else is untracked there. */
export function statelessPass(plan: RoutedPlan, family: Family, way: "to" | "from"): string {
  const matches = way === "to" ? answers(plan, family, "d", "request") : answers(plan, family, "s", "reply");
  return matches
    .map((match) => `meta nfproto ${family.name} ct state untracked ${match} accept`)
    .join("\n  ");
}
