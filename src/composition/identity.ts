/** What a board's service card is told to be: its MAC address, addresses and gateways. */
import type { BoardName } from "../board/board.ts";
import type { BoardIdentity, CardAddress } from "../board/identity.ts";
import type {
  BoardAddresses,
  BridgedNetwork,
  IdentityAddress,
  NetworkConfig,
  TwoCardsNetwork,
} from "../config/config.ts";
import type { SystemNames } from "../system/names.ts";

export function identityOf(network: NetworkConfig, names: SystemNames, name: BoardName): BoardIdentity {
  if (network.mode === "bridged") return { ...sharedIdentity(network, names), wire: "shared" };
  if (network.mode === "two-cards") {
    const wire = network.passedThrough ? { ownPci: network.uplinks[name] } : "shared";
    return { ...sharedIdentity(network, names), wire };
  }
  const mac = names.mac(name, "service");
  if (network.mode === "none") return { mac, wire: "link" };
  const { boards, boards6 } = network;
  const on = (addresses: BoardAddresses): CardAddress => ({
    address: `${addresses[name]}/${addresses.prefixLength}`,
    gateway: addresses.host,
  });
  return { mac, ipv4: on(boards), ...(boards6 === undefined ? {} : { ipv6: on(boards6) }), wire: "link" };
}

/** Both boards are the same to the outside. */
function sharedIdentity(
  { identity: { mac, ipv4, ipv6 } }: BridgedNetwork | TwoCardsNetwork,
  names: SystemNames,
): Omit<BoardIdentity, "wire"> {
  return {
    mac: mac ?? names.sharedMac,
    ...(ipv4 === undefined ? {} : { ipv4: told(ipv4) }),
    ...(ipv6 === undefined ? {} : { ipv6: told(ipv6) }),
  };
}

function told({ address, prefixLength, gateway }: IdentityAddress): CardAddress {
  return { address: `${address}/${prefixLength}`, ...(gateway === null ? {} : { gateway }) };
}
