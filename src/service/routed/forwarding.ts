/**
 * The host's passing on of packets between the uplink and the boards: switched on for as little as the kernel allows, and so that
 * the uplink goes on learning its routes from router advertisements (RFC 4861). Source: Documentation/networking/ip-sysctl.rst.
 */
import { cards } from "../../system/ip.ts";
import { hasSetting, readSetting, writeSetting } from "../../system/sysctl.ts";
import type { Family } from "../network/family.ts";
import type { HostSettings } from "../network/settings.ts";

/** From where the host passes packets on only because it was told to here. */
export type Opened = "nothing" | "uplink" | "everything";

/**
 * What IPv6 forwarding is switched on for: since Linux 6.17 a *card*, which says nothing about router advertisements; before, only the
 * *host*, which makes every card a router's, and a router believes no other (`accept_ra` of 1).
 */
export type Ipv6Switch = "card" | "host";

const hostForwarding = "net/ipv6/conf/all/forwarding";

const forwarding = (card: string): string => `net/ipv4/conf/${card}/forwarding`;
const forceForwarding = (card: string): string => `net/ipv6/conf/${card}/force_forwarding`;

export async function ipv6SwitchOf(): Promise<Ipv6Switch> {
  return (await hasSetting(forceForwarding("all"))) ? "card" : "host";
}

/** The same before and after `open`, and when the uplink is gone meanwhile. Errors: `command-failed`. */
export async function openedBy(
  settings: HostSettings,
  family: Family["name"],
  uplink: string,
  ipv6Switch: Ipv6Switch,
): Promise<Opened> {
  const isOn = async (setting: string): Promise<boolean> => {
    const value = await settings.originalIfThere(setting);
    // Of a card that is gone, and that passed packets on already when it came.
    return value === undefined || value === "1";
  };
  if (family === "ipv4") return (await isOn(forwarding(uplink))) ? "nothing" : "uplink";
  if (await isOn(hostForwarding)) return "nothing";
  if (ipv6Switch === "host") return "everything";
  return (await isOn(forceForwarding(uplink))) ? "nothing" : "uplink";
}

/** From the uplink to the boards. Repeatable. Errors: `command-failed`. */
export async function open(
  settings: HostSettings,
  family: Family["name"],
  uplink: string,
  ipv6Switch: Ipv6Switch,
): Promise<void> {
  if (family === "ipv4") await settings.set(forwarding(uplink), "1");
  else if ((await settings.original(hostForwarding)) === "1") return;
  else if (ipv6Switch === "card") await settings.set(forceForwarding(uplink), "1");
  else await openHost(settings);
}

/** Settings of which one is 1 where packets of the family are passed on from the uplink. */
export function switchesOf(family: Family["name"], uplink: string, ipv6Switch: Ipv6Switch): string[] {
  if (family === "ipv4") return [forwarding(uplink)];
  return ipv6Switch === "card" ? [forceForwarding(uplink), hostForwarding] : [hostForwarding];
}

/** From a board's card to the uplink; the setting goes with the card. Repeatable. Errors: `command-failed`. */
export async function openCard(family: Family["name"], card: string, ipv6Switch: Ipv6Switch): Promise<void> {
  if (family === "ipv4") await writeSetting(forwarding(card), "1");
  else if (ipv6Switch === "card") await writeSetting(forceForwarding(card), "1");
}

/** Every card becomes a router's; those that believed router advertisements until now go on doing so, and keep what they learned. */
async function openHost(settings: HostSettings): Promise<void> {
  const own: string[] = [];
  for (const card of ["default", ...(await cards())]) {
    const setting = (name: string): string => `net/ipv6/conf/${card}/${name}`;
    if (!(await hasSetting(setting("forwarding")))) continue;
    own.push(setting("forwarding"));
    const believes =
      (await readSetting(setting("forwarding"))) === "0" && (await readSetting(setting("accept_ra"))) === "1";
    if (believes) await settings.set(setting("accept_ra"), "2");
  }
  await settings.note(own);
  await settings.set(hostForwarding, "1");
}
