/** By what the outside reaches the demo's service, in each family. */
import { link, link6 } from "../test/fixtures/namespaces.ts";

export interface ServiceAddress {
  readonly family: "ipv4" | "ipv6";
  /** The service's name in the configuration. */
  readonly name: string;
  readonly address: string;
  /** The address as in a URL. */
  readonly host: string;
  /** The device's own address on the wire to the outside. */
  readonly device: string;
  /** Where the board itself has the address: the device's end of the wire to it, and the prefix that holds these two alone. */
  readonly gateway: string;
  readonly prefix: number;
}

const ipv4 = {
  family: "ipv4",
  name: "web",
  address: "198.51.100.10",
  host: "198.51.100.10",
  device: link.deviceAddress,
  gateway: "198.51.100.11",
  prefix: 31,
} as const satisfies ServiceAddress;

const ipv6 = {
  family: "ipv6",
  name: "web6",
  address: "2001:db8::10",
  host: "[2001:db8::10]",
  device: link6.deviceAddress,
  gateway: "2001:db8::11",
  prefix: 127,
} as const satisfies ServiceAddress;

export const serviceAddresses: readonly ServiceAddress[] = [ipv4, ipv6];
export const hosts: readonly string[] = serviceAddresses.map(({ host }) => host);
/** The one that people type. */
export const serviceAddress: string = ipv4.address;
