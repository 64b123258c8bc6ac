import assert from "node:assert/strict";
import { test } from "node:test";
import { announcements, questions } from "./frames.ts";

const mac = "52:54:00:00:00:10";
const hex = (frames: readonly Buffer[]): string[] => frames.map((frame) => frame.toString("hex"));
const pad = (text: string, sizeBytes: number): string => text.replaceAll(" ", "").padEnd(2 * sizeBytes, "0");

test("an IPv4 address is announced by an ARP request of its owner for it", () => {
  assert.deepEqual(hex(announcements({ mac, ipv4: "198.51.100.10" }, [])), [
    pad(
      "ffffffffffff 525400000010 0806 0001 0800 06 04 0001 525400000010 c633640a 000000000000 c633640a",
      60,
    ),
  ]);
});

test("an IPv6 address is announced to all nodes by an advertisement that nobody asked for", () => {
  const header = "333300000001 525400000010 86dd 60000000 0020 3a ff";
  const ends = "20010db8000000000000000000000010 ff020000000000000000000000000001";
  const message = "88 00 a8a9 20000000 20010db8000000000000000000000010 02 01 525400000010";
  assert.deepEqual(hex(announcements({ mac, ipv6: "2001:db8::10" }, [])), [pad(header + ends + message, 86)]);
});

test("without an address the MAC address alone is announced", () => {
  assert.deepEqual(hex(announcements({ mac }, [])), [
    pad(
      "ffffffffffff 525400000010 8035 0001 0800 06 04 0003 525400000010 00000000 525400000010 00000000",
      60,
    ),
  ]);
});

test("all frames are of one length, and each VLAN has one with its tag", () => {
  const frames = announcements({ mac, ipv4: "198.51.100.10", ipv6: "2001:db8::10" }, [7, 4094]);
  assert.deepEqual(
    frames.map(({ length }) => length),
    [86, 86, 86, 86],
  );
  assert.match(frames[2]?.toString("hex") ?? "", /^f{12}525400000010810000078035/);
  assert.match(frames[3]?.toString("hex") ?? "", /^f{12}52540000001081000ffe8035/);
});

test("gateways are asked for on behalf of nobody", () => {
  const card = "02:00:00:00:00:01";
  const probe =
    "ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 00000000 000000000000 c6336401";
  const header = "3333ff000001 020000000001 86dd 60000000 0018 3a ff";
  const ends = "00000000000000000000000000000000 ff0200000000000000000001ff000001";
  const solicitation = `${header} ${ends} 87 00 4ced 00000000 20010db8000000000000000000000001`;
  assert.deepEqual(hex(questions(card, ["198.51.100.1", "2001:db8::1"])), [
    pad(probe, 78),
    pad(solicitation, 78),
  ]);
  assert.deepEqual(hex(questions(card, ["198.51.100.1"])), [pad(probe, 60)]);
});
