/** Who the boards' gateways are on a board's wire: learned by the gate from whatever they say, and asked for where nothing was heard of them yet. */
import { setTimeout as sleep } from "node:timers/promises";
import { FrameSender } from "../../system/frame-sender.ts";
import type { Link } from "../../system/links.ts";
import type { NftSession, NftSet } from "../../system/nft.ts";
import { gateFamily } from "../network/gate.ts";
import { elementsOf } from "../network/register.ts";
import { questions } from "./frames.ts";
import type { TwoCardsPlan } from "./plan.ts";

export const families = ["ipv4", "ipv6"] as const;
export type GatewayMacs = Readonly<Record<(typeof families)[number], string | undefined>>;

/** A gateway that is there answers sooner; without one the board only begins its time in service by asking. */
const answerTimeoutMs = 500;
const lookMs = 20;

/**
 * The gateways' MAC addresses, as far as they can be found out. Asks from the card's own MAC address, so that no switch takes the board to be there.
 * @param card leads outside, and is up; `undefined`: nobody is asked.
 */
export async function findGateways(
  { names, gateways }: TwoCardsPlan,
  card: Link | undefined,
  nft: NftSession,
  signal: AbortSignal,
): Promise<GatewayMacs> {
  const wanted = families.filter((family) => gateways[family] !== undefined);
  const learned = async (): Promise<GatewayMacs> =>
    gatewayMacs((await nft.readSets(gateFamily, names.table)) ?? []);
  const missing = (macs: GatewayMacs) => wanted.filter((family) => macs[family] === undefined);
  let macs = await learned();
  const unknown = missing(macs).flatMap((family) => gateways[family]?.address ?? []);
  if (unknown.length === 0 || card === undefined) return macs;
  const frames = questions(card.mac, unknown);
  const sender = new FrameSender(card.name, frames[0]?.length ?? 0);
  try {
    for (const frame of frames) sender.send(frame);
    const deadline = performance.now() + answerTimeoutMs;
    while (missing(macs).length > 0 && performance.now() < deadline) {
      await sleep(lookMs, undefined, { signal });
      macs = await learned();
    }
    return macs;
  } finally {
    sender.close();
  }
}

/** Out of the gate's sets: of several that claimed to be one gateway, who said so last. Pure. */
export function gatewayMacs(sets: readonly NftSet[]): GatewayMacs {
  const last = (name: string): string | undefined =>
    elementsOf(sets, name)
      .map(claim)
      .toSorted((one, other) => other.expires - one.expires)[0]?.mac;
  return { ipv4: last("gateway4"), ipv6: last("gateway6") };
}

/** With a timeout, an element is an object (libnftables-json(5)). */
function claim(element: unknown): { readonly mac: string; readonly expires: number } {
  const { elem } = Object(element) as {
    readonly elem?: { readonly val?: unknown; readonly expires?: number };
  };
  return { mac: String(elem?.val ?? element), expires: elem?.expires ?? 0 };
}
