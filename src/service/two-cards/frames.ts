/**
 * Frames that the host says itself on a board's wire. Announcements, by which a switch learns that the boards' MAC address is behind this card
 * now: everybody's caches stay true, because address and MAC address belong together as before, and what counts is the source of the frame.
 * And questions for gateways, from the card's own MAC address. Pure.
 */
import { isIPv6 } from "node:net";
import { ipv6ToNumber, solicitedNode } from "../../system/ipv6-address.ts";
import type { SharedIdentity } from "../network/identity.ts";

/** Without the check sequence, which the card adds (IEEE 802.3, clause 3.2.8). */
const leastFrameBytes = 60;
const etherTypes = { ipv6: 0x86dd, arp: 0x0806, rarp: 0x8035, vlan: 0x8100 } as const;
const everybody = octets("ff:ff:ff:ff:ff:ff");
const nobody = Buffer.alloc(6);
const noIpv4 = Buffer.alloc(4);
const noIpv6 = Buffer.alloc(16);

/**
 * One frame for each of the addresses, or one without any; for each VLAN one more with its tag, because switches may learn by VLAN. All are
 * of one length: padding at the end of a frame is nobody's business.
 */
export function announcements({ mac, ipv4, ipv6 }: SharedIdentity, vlans: readonly number[]): Buffer[] {
  const ofAddresses = [
    ...(ipv4 === undefined ? [] : [gratuitousArp(mac, ipv4)]),
    ...(ipv6 === undefined ? [] : [unsolicitedAdvertisement(mac, ipv6)]),
  ];
  const frames = [
    ...(ofAddresses.length === 0 ? [reverseArp(mac)] : ofAddresses),
    ...vlans.map((vlan) => tagged(reverseArp(mac), vlan)),
  ];
  return padded(frames);
}

function padded(frames: readonly Buffer[]): Buffer[] {
  const sizeBytes = Math.max(leastFrameBytes, ...frames.map(({ length }) => length));
  return frames.map((frame) => Buffer.concat([frame, Buffer.alloc(sizeBytes - frame.length)]));
}

/**
 * Asks for the owners of addresses on behalf of nobody's address, so that nobody learns anything from being asked (RFC 5227, section 2.1.1;
 * RFC 4862, section 5.4.2). All are of one length.
 */
export function questions(mac: string, targets: readonly string[]): Buffer[] {
  const frames = targets.map((target) =>
    isIPv6(target) ? solicitation(mac, target) : arpProbe(mac, target),
  );
  return padded(frames);
}

function arpProbe(mac: string, target: string): Buffer {
  const body = arpBody(1, octets(mac), noIpv4, nobody, address(target));
  return ethernet(everybody, mac, etherTypes.arp, body);
}

/** To the group in which the owner hears who asks for his address (RFC 4861, section 4.3; RFC 4291, section 2.7.1). */
function solicitation(mac: string, target: string): Buffer {
  const group = address(solicitedNode(target));
  const groupMac = Buffer.concat([Buffer.from([0x33, 0x33]), group.subarray(12)]);
  const body = Buffer.concat([Buffer.from([solicit, 0, 0, 0, 0, 0, 0, 0]), address(target)]);
  return ethernet(groupMac, mac, etherTypes.ipv6, icmp6Packet(noIpv6, group, body));
}

/** An ARP announcement: a request of somebody for his own address (RFC 5227, section 3; RFC 5944, section 4.6). */
function gratuitousArp(mac: string, ipv4: string): Buffer {
  const own = address(ipv4);
  return ethernet(everybody, mac, etherTypes.arp, arpBody(1, octets(mac), own, nobody, own));
}

/** A request for the address that belongs to a MAC address (RFC 903). Nobody needs to answer. */
function reverseArp(mac: string): Buffer {
  const own = octets(mac);
  return ethernet(everybody, mac, etherTypes.rarp, arpBody(3, own, noIpv4, own, noIpv4));
}

/** RFC 826, for IPv4 over Ethernet. */
function arpBody(operation: number, ...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]), ...parts]);
}

const allNodes = { mac: octets("33:33:00:00:00:01"), address: address("ff02::1") } as const;
const icmpv6 = 58;
/** Neighbour discovery is believed only with this hop limit (RFC 4861, section 7.1.2). */
const hopLimit = 255;
const solicit = 135;
const advertisement = 136;
/** What is known of the sender's MAC address is overridden. */
const overrideFlag = 0x20;
const targetLinkLayerAddress = 2;

/** To all nodes, unasked (RFC 4861, sections 4.4 and 7.2.6). */
function unsolicitedAdvertisement(mac: string, ipv6: string): Buffer {
  const own = address(ipv6);
  const message = Buffer.concat([
    Buffer.from([advertisement, 0, 0, 0, overrideFlag, 0, 0, 0]),
    own,
    Buffer.from([targetLinkLayerAddress, 1]),
    octets(mac),
  ]);
  return ethernet(allNodes.mac, mac, etherTypes.ipv6, icmp6Packet(own, allNodes.address, message));
}

/** RFC 8200, section 3. Writes the message's checksum. */
function icmp6Packet(from: Buffer, to: Buffer, message: Buffer): Buffer {
  const ends = Buffer.concat([from, to]);
  message.writeUInt16BE(checksum(ends, message), 2);
  const header = Buffer.from([0x60, 0, 0, 0, 0, message.length, icmpv6, hopLimit]);
  return Buffer.concat([header, ends, message]);
}

/** Over the pseudo-header too (RFC 4443, section 2.3; RFC 8200, section 8.1). */
function checksum(ends: Buffer, message: Buffer): number {
  const rest = Buffer.from([0, 0, 0, message.length, 0, 0, 0, icmpv6]);
  const all = Buffer.concat([ends, rest, message]);
  let sum = 0;
  for (let at = 0; at < all.length; at += 2) sum += all.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function ethernet(to: Buffer, from: string, etherType: number, payload: Buffer): Buffer {
  return Buffer.concat([to, octets(from), uint16(etherType), payload]);
}

/** IEEE 802.1Q, clause 9. */
function tagged(frame: Buffer, vlan: number): Buffer {
  return Buffer.concat([frame.subarray(0, 12), uint16(etherTypes.vlan), uint16(vlan), frame.subarray(12)]);
}

function uint16(value: number): Buffer {
  return Buffer.from([value >>> 8, value & 0xff]);
}

function octets(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}

function address(text: string): Buffer {
  if (!isIPv6(text)) return Buffer.from(text.split(".").map(Number));
  return Buffer.from(ipv6ToNumber(text).toString(16).padStart(32, "0"), "hex");
}
