/** Who listens on TCP ports of this network namespace (proc(5), /proc/net/tcp and tcp6). */
import { readFileIfThere } from "./files.ts";

export interface Listener {
  /** IPv4 dotted; `0.0.0.0` for a listener on every address, IPv6 ones that take IPv4 too included. */
  readonly address: string;
  readonly port: number;
}

const listening = "0A";

/** IPv4 listeners, and those of `::`, which take IPv4 connections too unless they asked not to. */
export async function tcpListeners(): Promise<Listener[]> {
  const [four, six] = await Promise.all(
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(async (path) => await readFileIfThere(path)),
  );
  return [...parseListeners(four ?? ""), ...parseListeners(six ?? "")];
}

/** Reads one of the two tables; lines that are not listeners of IPv4 are passed over. */
export function parseListeners(text: string): Listener[] {
  return text.split("\n").flatMap((line) => {
    const [, local = "", , state] = line.trim().split(/\s+/);
    const [address = "", port = ""] = local.split(":");
    if (state !== listening || !/^[0-9A-F]{4}$/.test(port)) return [];
    const dotted = addressOf(address);
    return dotted === undefined ? [] : [{ address: dotted, port: Number.parseInt(port, 16) }];
  });
}

/** The kernel prints each 32-bit word in the order of the host's memory, which is the lowest byte first wherever Node runs. */
function addressOf(hexadecimal: string): string | undefined {
  if (/^0{32}$/.test(hexadecimal)) return "0.0.0.0";
  if (!/^[0-9A-F]{8}$/.test(hexadecimal)) return undefined;
  return Buffer.from(hexadecimal, "hex").toReversed().join(".");
}
