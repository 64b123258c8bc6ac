/** Who listens on ports of this network namespace, as ss(8) tells it. */
import { isIPv6 } from "node:net";
import { run } from "./process.ts";

export interface Listener {
  /** `0.0.0.0` and `::` are every address of one family, `*` is every address of both. */
  readonly address: string;
  readonly port: number;
}

/** Errors: `missing-program`, `command-failed`. */
export async function listeners(protocol: "tcp" | "udp"): Promise<Listener[]> {
  const { stdout } = await run("ss", ["--no-header", "--listening", "--numeric", `--${protocol}`]);
  return parseListeners(stdout.toString());
}

/** Whether connections to `address` are this listener's. */
export function hears(listener: Listener, address: string): boolean {
  return ["*", isIPv6(address) ? "::" : "0.0.0.0", address].includes(listener.address);
}

/** The fourth word of a line is the listener's own end; the card that it is bound to, if any, is passed over. */
export function parseListeners(text: string): Listener[] {
  return text.split("\n").flatMap((line) => {
    const own = line.trim().split(/\s+/)[3] ?? "";
    const [, address, port] = /^\[?([^\]%]+)\]?(?:%\S+)?:(\d+)$/.exec(own) ?? [];
    return address === undefined ? [] : [{ address, port: Number(port) }];
  });
}
