import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseFlows } from "./conntrack.ts";

// as conntrack 1.4.7 prints them
const listing = `
tcp      6 431999 ESTABLISHED src=198.51.100.1 dst=198.51.100.10 sport=35878 dport=80 packets=6 bytes=408 src=10.231.0.2 dst=198.51.100.1 sport=8080 dport=35878 packets=5 bytes=3464 [ASSURED] mark=65792 use=1 id=2871641374
tcp      6 118 SYN_SENT src=198.51.100.1 dst=198.51.100.10 sport=41000 dport=81 [UNREPLIED] src=10.231.0.3 dst=198.51.100.1 sport=81 dport=41000 mark=131584 use=1 id=17
tcp      6 9 CLOSE src=2001:db8::1 dst=2001:db8::10 sport=1 dport=2 packets=1 bytes=60 [UNREPLIED] src=fd00::2 dst=2001:db8::1 sport=2 dport=1 packets=0 bytes=0 mark=0 secctx=null use=1 id=3
udp      17 28 src=198.51.100.1 dst=198.51.100.2 sport=5 dport=6 src=198.51.100.2 dst=198.51.100.1 sport=6 dport=5 mark=0 use=1 id=4
`;

test("flows are read from what conntrack prints, with and without accounting, of both families", () => {
  assert.deepEqual(parseFlows(listing), [
    {
      id: 2871641374,
      state: "ESTABLISHED",
      source: "198.51.100.1",
      sourcePort: 35878,
      destination: "198.51.100.10",
      destinationPort: 80,
      answeredBy: "10.231.0.2",
      answeredPort: 8080,
      answeredTo: "198.51.100.1",
      answeredToPort: 35878,
      packets: 11,
      bytes: 3872,
      mark: 65792,
    },
    {
      id: 17,
      state: "SYN_SENT",
      source: "198.51.100.1",
      sourcePort: 41000,
      destination: "198.51.100.10",
      destinationPort: 81,
      answeredBy: "10.231.0.3",
      answeredPort: 81,
      answeredTo: "198.51.100.1",
      answeredToPort: 41000,
      packets: 0,
      bytes: 0,
      mark: 131584,
    },
    {
      id: 3,
      state: "CLOSE",
      source: "2001:db8::1",
      sourcePort: 1,
      destination: "2001:db8::10",
      destinationPort: 2,
      answeredBy: "fd00::2",
      answeredPort: 2,
      answeredTo: "2001:db8::1",
      answeredToPort: 1,
      packets: 1,
      bytes: 60,
      mark: 0,
    },
    {
      id: 4,
      state: "",
      source: "198.51.100.1",
      sourcePort: 5,
      destination: "198.51.100.2",
      destinationPort: 6,
      answeredBy: "198.51.100.2",
      answeredPort: 6,
      answeredTo: "198.51.100.1",
      answeredToPort: 5,
      packets: 0,
      bytes: 0,
      mark: 0,
    },
  ]);
});

test("whatever else stands there is passed over", () => {
  fc.assert(fc.property(fc.string(), (text) => parseFlows(text).length === 0));
});
