/** The door to the kernel's table of flows (conntrack(8)). */
import { isIPv6 } from "node:net";
import { run } from "./process.ts";

const program = "conntrack";

/** The kernel lists the two families apart (conntrack(8), `-f`). */
export type FlowFamily = "ipv4" | "ipv6";

/** A TCP flow as the kernel tracks it. Addresses and ports are those of its first packet, before any rewriting. */
export interface TcpFlow {
  readonly id: number;
  /** `ESTABLISHED`, `TIME_WAIT`, … (nf_conntrack_proto_tcp.c). */
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
 * TCP flows whose mark agrees with `mark` in the bits of `mask`; the kernel filters.
 * Errors: `missing-program`, `command-failed`, `deadline-passed`; the signal's reason.
 */
export async function listTcpFlows(
  family: FlowFamily,
  mark: number,
  mask: number,
  signal?: AbortSignal,
): Promise<TcpFlow[]> {
  const marked = ["--mark", `${mark}/${mask}`];
  const { stdout } = await run(program, ["-L", "-f", family, "-p", "tcp", ...marked, "-o", "id"], {
    timeoutMs: 20_000,
    maxOutputBytes,
    ...(signal === undefined ? {} : { signal }),
  });
  return parseTcpFlows(stdout.toString());
}

export interface FlowFilter {
  /** The flow's mark agrees with `mark` in the bits of `mask`. */
  readonly mark: number;
  readonly mask: number;
  readonly answeredBy: string;
  /** All states without it. */
  readonly state?: string;
}

/** Forgets TCP flows, and returns them as they were; none is a success. Errors: `missing-program`, `command-failed`, `deadline-passed`. */
export async function forgetTcpFlows({ mark, mask, answeredBy, state }: FlowFilter): Promise<TcpFlow[]> {
  const ofState = state === undefined ? [] : ["--state", state];
  const family: FlowFamily = isIPv6(answeredBy) ? "ipv6" : "ipv4";
  const of = ["--mark", `${mark}/${mask}`, "--reply-src", answeredBy, ...ofState];
  const { stdout } = await run(program, ["-D", "-f", family, "-p", "tcp", ...of, "-o", "id"], {
    allowedExitCodes: [1],
    timeoutMs: 20_000,
    maxOutputBytes,
  });
  return parseTcpFlows(stdout.toString());
}

const ports = (end: string): string => String.raw`sport=(?<${end}From>\d+) dport=(?<${end}To>\d+)`;
const count = (end: string): string =>
  String.raw`(?: packets=(?<${end}Packets>\d+) bytes=(?<${end}Bytes>\d+))?`;
const line = new RegExp(
  String.raw`^tcp\s+6\s+\d+\s+(?<state>[A-Z_0-9]+) src=(?<source>\S+) dst=(?<destination>\S+) ${ports("there")}${count("there")}` +
    String.raw` (?:\[UNREPLIED\] )?src=(?<answeredBy>\S+) dst=(?<answeredTo>\S+) ${ports("back")}${count("back")} .*?mark=(?<mark>\d+)(?: .*?)? id=(?<id>\d+)`,
);

/** Reads what `conntrack -L -p tcp -o id` prints; lines that are no TCP flows are passed over. */
export function parseTcpFlows(text: string): TcpFlow[] {
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
