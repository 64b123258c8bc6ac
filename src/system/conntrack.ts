/** The door to the kernel's table of flows (conntrack(8)). */
import { isIPv6 } from "node:net";
import { run } from "./process.ts";

const program = "conntrack";

/** The kernel lists the two families apart (conntrack(8), `-f`). */
export type FlowFamily = "ipv4" | "ipv6";

export type FlowProtocol = "tcp" | "udp";

/** A flow as the kernel tracks it. Addresses and ports are those of its first packet, before any rewriting. */
export interface Flow {
  readonly id: number;
  /** Of TCP: `ESTABLISHED`, `TIME_WAIT`, … (nf_conntrack_proto_tcp.c); empty for UDP. */
  readonly state: string;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** Who answers, and to whom: the flow's destination and source after rewriting, as they stand on the answerer's wire. */
  readonly answeredBy: string;
  readonly answeredPort: number;
  readonly answeredTo: string;
  readonly answeredToPort: number;
  /** Of both directions, bytes with their IP headers; 0 without accounting (`nf_conntrack_acct`). */
  readonly packets: number;
  readonly bytes: number;
  readonly mark: number;
}

/** 512 bytes are more than one line; a table of a million flows is read. */
const maxOutputBytes = 512 * 1024 * 1024;

/**
 * Flows whose mark agrees with `mark` in the bits of `mask`; the kernel filters.
 * Errors: `missing-program`, `command-failed`, `deadline-passed`; the signal's reason.
 */
export async function listFlows(
  protocol: FlowProtocol,
  family: FlowFamily,
  { mark, mask }: { readonly mark: number; readonly mask: number },
  signal?: AbortSignal,
): Promise<Flow[]> {
  const marked = ["--mark", `${mark}/${mask}`];
  const { stdout } = await run(program, ["-L", "-f", family, "-p", protocol, ...marked, "-o", "id"], {
    timeoutMs: 20_000,
    maxOutputBytes,
    ...(signal === undefined ? {} : { signal }),
  });
  return parseFlows(stdout.toString());
}

export interface FlowFilter {
  readonly protocol: FlowProtocol;
  /** The flow's mark agrees with `mark` in the bits of `mask`. */
  readonly mark: number;
  readonly mask: number;
  readonly answeredBy: string;
  /** All states without it. */
  readonly state?: string;
  /** All clients without it. */
  readonly from?: { readonly source: string; readonly sourcePort: number };
}

/** Forgets flows, and returns them as they were; none is a success. Errors: `missing-program`, `command-failed`, `deadline-passed`. */
export async function forgetFlowsWith(filter: FlowFilter): Promise<Flow[]> {
  const { protocol, mark, mask, answeredBy, state, from } = filter;
  const ofState = state === undefined ? [] : ["--state", state];
  const ofClient =
    from === undefined ? [] : ["--orig-src", from.source, "--orig-port-src", String(from.sourcePort)];
  const family: FlowFamily = isIPv6(answeredBy) ? "ipv6" : "ipv4";
  const of = ["--mark", `${mark}/${mask}`, "--reply-src", answeredBy, ...ofState, ...ofClient];
  const { stdout } = await run(program, ["-D", "-f", family, "-p", protocol, ...of, "-o", "id"], {
    allowedExitCodes: [1],
    timeoutMs: 20_000,
    maxOutputBytes,
  });
  return parseFlows(stdout.toString());
}

const ports = (end: string): string => String.raw`sport=(?<${end}From>\d+) dport=(?<${end}To>\d+)`;
const count = (end: string): string =>
  String.raw`(?: packets=(?<${end}Packets>\d+) bytes=(?<${end}Bytes>\d+))?`;
const line = new RegExp(
  String.raw`^(?:tcp|udp)\s+\d+\s+\d+\s+(?:(?<state>[A-Z_0-9]+) )?src=(?<source>\S+) dst=(?<destination>\S+) ${ports("there")}${count("there")}` +
    String.raw` (?:\[UNREPLIED\] )?src=(?<answeredBy>\S+) dst=(?<answeredTo>\S+) ${ports("back")}${count("back")} .*?mark=(?<mark>\d+)(?: .*?)? id=(?<id>\d+)`,
);

/** Reads what `conntrack -L -o id` prints; lines that are no flows of TCP or UDP are passed over. */
export function parseFlows(text: string): Flow[] {
  return text.split("\n").flatMap((candidate) => {
    const found = line.exec(candidate)?.groups;
    if (found === undefined) return [];
    const number = (name: string): number => Number(found[name] ?? 0);
    return [
      {
        id: number("id"),
        state: found["state"] ?? "",
        source: found["source"] ?? "",
        sourcePort: number("thereFrom"),
        destination: found["destination"] ?? "",
        destinationPort: number("thereTo"),
        answeredBy: found["answeredBy"] ?? "",
        answeredPort: number("backFrom"),
        answeredTo: found["answeredTo"] ?? "",
        answeredToPort: number("backTo"),
        packets: number("therePackets") + number("backPackets"),
        bytes: number("thereBytes") + number("backBytes"),
        mark: number("mark"),
      },
    ];
  });
}
