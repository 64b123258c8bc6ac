/** The door to addresses, routes and cards: ip(8), read as JSON. */
import { isIPv6 } from "node:net";
import { readIp } from "./ip-reader.ts";
import { ipBatch } from "./netns.ts";
import { run } from "./process.ts";
import { hasSetting, readSetting } from "./sysctl.ts";

const program = "ip";

interface AddressEntry {
  readonly ifname: string;
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
}

/** Why IPv6 cannot be used on a card; `undefined` if it can. */
export async function ipv6Obstacle(card: string): Promise<string | undefined> {
  if (!(await hasSetting("net/ipv6/conf/all/disable_ipv6"))) return "the kernel has no IPv6";
  const setting = `net/ipv6/conf/${card}/disable_ipv6`;
  if (!(await hasSetting(setting))) return `${card} has no IPv6: its MTU may be less than 1280 bytes`;
  return (await readSetting(setting)) === "0" ? undefined : `/proc/sys/${setting} is 1`;
}

/** Names of all cards of this network namespace. Errors: `missing-program`, `command-failed`. */
export async function cards(): Promise<ReadonlySet<string>> {
  return new Set(((await readIp("link show")) as { ifname: string }[]).map((link) => link.ifname));
}

/** Operational state of a card (RFC 2863): `up`, `down`, `unknown`, …; `undefined`: no such card. Errors: `missing-program`, `command-failed`. */
export async function cardState(card: string): Promise<string | undefined> {
  const links = (await readIp("link show")) as { readonly ifname: string; readonly operstate?: string }[];
  const found = links.find(({ ifname }) => ifname === card);
  return found === undefined ? undefined : (found.operstate ?? "unknown").toLowerCase();
}

/** Every address of this network namespace. Errors: `missing-program`, `command-failed`. */
export async function addresses(): Promise<readonly { readonly address: string; readonly card: string }[]> {
  return ((await readIp("address show")) as AddressEntry[]).flatMap(({ ifname, addr_info: found = [] }) =>
    found.flatMap(({ local }) => (local === undefined ? [] : [{ address: local, card: ifname }])),
  );
}

/** Neighbours whose MAC address is known, by address. Errors: `missing-program`, `command-failed`. */
export async function neighbours(): Promise<readonly { readonly address: string; readonly mac: string }[]> {
  const { stdout } = await run(program, ["-json", "neighbour", "show"]);
  const found = parse(stdout) as { readonly dst: string; readonly lladdr?: string }[];
  return found.flatMap(({ dst, lladdr }) => (lladdr === undefined ? [] : [{ address: dst, mac: lladdr }]));
}

/** Which card has an address; `undefined` if none has. Errors: `missing-program`, `command-failed`. */
export async function cardOfAddress(address: string): Promise<string | undefined> {
  return (await addresses()).find((one) => one.address === address)?.card;
}

/**
 * Gives a card an address of its own (`/32`, `/128`), usable at once: nobody is asked whether he has it too. Repeatable.
 * @param use `answer`: connections that the host begins do not take this IPv6 address of themselves (RFC 6724, rule 3).
 * Errors: `command-failed`.
 */
export async function addAddress(
  address: string,
  prefix: number,
  card: string,
  use: "begin" | "answer" = "begin",
): Promise<void> {
  const answering = use === "answer" ? ["preferred_lft", "0"] : [];
  const six = isIPv6(address) ? ["nodad", ...answering] : [];
  await run(program, ["address", "replace", `${address}/${prefix}`, "dev", card, ...six]);
}

/** Takes an address off a card; repeatable, also when the card is gone. */
export async function removeAddress(address: string, prefix: number, card: string): Promise<void> {
  await run(program, ["address", "delete", `${address}/${prefix}`, "dev", card], {
    allowedExitCodes: [1, 2],
  });
}

/** Takes all addresses off a card. Repeatable. Errors: `command-failed`. */
export async function removeAddresses(card: string): Promise<void> {
  await run(program, ["address", "flush", "dev", card]);
}

/** One neighbour on a point-to-point card: link up, a route to just its address, and its MAC known for good. */
export async function pointTo(
  card: string,
  peer: { readonly address: string; readonly prefix: number; readonly mac: string; readonly from: string },
): Promise<void> {
  const { address, prefix, mac, from } = peer;
  await ipBatch([
    `link set ${card} up`,
    `route replace ${address}/${prefix} dev ${card} src ${from}`,
    `neighbour replace ${address} lladdr ${mac} nud permanent dev ${card}`,
  ]);
}

/** Undoes `pointTo` as far as it was done, except the link's state; repeatable. */
export async function unpoint(card: string, address: string, prefix: number): Promise<void> {
  const done = { allowedExitCodes: [1, 2] };
  await run(program, ["neighbour", "delete", address, "dev", card], done);
  await run(program, ["route", "delete", `${address}/${prefix}`, "dev", card], done);
}

function parse(stdout: Buffer): unknown {
  const text = stdout.toString().trim();
  return text === "" ? [] : JSON.parse(text);
}
