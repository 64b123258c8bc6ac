/** Addresses, ports and prefixes of a configuration: which are taken, and which mistakes are named, where. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mistakeText, parseConfig } from "./load.ts";

const good = `system: gateway
compatible: acme-gateway
trust:
  keyring: keyring.pem
boards:
  memory: 256MiB
network:
  uplink: up0
services:
  - { name: web, protocol: tcp, address: 198.51.100.10, port: 80, drain: 30s }
health:
  - { name: web, http: ":80/healthz" }
`;

test("services of both families may share a port inside, and IPv6 ones give the boards IPv6 addresses", () => {
  const six = "  - { name: six, protocol: tcp, address: 2001:DB8:0::10, port: 80 }\nhealth:";
  const result = parseConfig(good.replace("health:", six), "/etc/twinboard/gateway.yaml");
  assert.ok("config" in result, JSON.stringify(result));
  assert.equal(result.config.services[1]?.address, "2001:db8::10", "as the kernel prints it");
  const own = "fd5c:9a1e:7b42::";
  const boards6 = { host: `${own}1`, a: `${own}2`, b: `${own}3`, prefixLength: 64 };
  const { network } = result.config;
  assert.deepEqual(network.mode === "routed" ? network.boards6 : null, boards6);
});

test("datagrams, sessions, ranges of ports and echo requests are services of their own kinds", () => {
  const more = [
    "  - { name: coap, protocol: udp, address: 198.51.100.10, port: 5683, flows: stateless }",
    "  - { name: quic, protocol: udp, address: 198.51.100.10, port: 443, inside-port: 8443, flows: session }",
    "  - { name: media, protocol: udp, address: 198.51.100.10, port: 10000-10100, flows: session, quiet: 5s }",
    "  - { name: ping, protocol: icmp, address: 198.51.100.10 }",
    "health:",
  ].join("\n");
  const result = parseConfig(good.replace("health:", more), "/etc/twinboard/gateway.yaml");
  assert.ok("config" in result, JSON.stringify(result));
  const address = "198.51.100.10";
  const quic = { protocol: "udp", flows: "session", address, drainMs: 30_000 } as const;
  assert.deepEqual(result.config.services.slice(1), [
    { name: "coap", protocol: "udp", flows: "stateless", address, port: 5683, drainMs: 1000 },
    { name: "quic", port: 443, insidePort: 8443, quietMs: Number.POSITIVE_INFINITY, ...quic },
    { name: "media", port: 10_000, lastPort: 10_100, quietMs: 5000, ...quic },
    { name: "ping", protocol: "icmp", flows: "stateless", address, drainMs: 1000 },
  ]);
});

/** Each row: what is replaced in the good file, by what, and the mistakes that must be named, line and column included. */
const table: [name: string, from: string, to: string, expected: (string | RegExp)[]][] = [
  [
    "a port in the range of another service",
    "health:",
    "  - { name: media, protocol: tcp, address: 198.51.100.10, port: 70-90 }\nhealth:",
    [/^f:11:\d+: services\[1\]\.port: another service has tcp 198\.51\.100\.10:80/],
  ],
  [
    "a range that goes backwards",
    "port: 80,",
    "port: 90-80,",
    [/services\[0\]\.port: expected a port from 1 to 65535, or a range such as 10000-10100, not "90-80"/],
  ],
  [
    "a range with a port of its own inside",
    "port: 80,",
    "port: 80-90, inside-port: 8080,",
    [/services\[0\]\.inside-port: not with a range of ports/],
  ],
  [
    "keys that echo requests do not have",
    "health:",
    "  - { name: ping, protocol: icmp, address: 198.51.100.10, port: 7, quiet: 1s }\nhealth:",
    [
      /services\[1\]\.port: means nothing with protocol icmp/,
      /services\[1\]\.quiet: means nothing with protocol icmp/,
    ],
  ],
  [
    "two addresses that answer echo requests",
    "health:",
    "  - { name: ping, protocol: icmp, address: 198.51.100.10 }\n  - { name: pong, protocol: icmp, address: 198.51.100.11 }\nhealth:",
    [/services\[2\]\.address: another service answers echo requests of this family/],
  ],
  [
    "TCP without its sessions",
    "drain: 30s",
    "flows: stateless",
    [/services\[0\]\.flows: is for protocol udp/],
  ],
  [
    "an address that is none",
    "198.51.100.10",
    "198.51.100.256",
    [/^f:10:42: services\[0\]\.address: expected an IPv4 or IPv6 address/],
  ],
  [
    "a link-local address",
    "198.51.100.10",
    "fe80::1",
    [/^f:10:42: services\[0\]\.address: fe80::1 is a link-local address: expected one/],
  ],
  [
    "a link-local address with its card",
    "198.51.100.10",
    '"fe80::1%eth0"',
    [/^f:10:42: services\[0\]\.address: expected an IPv4 or IPv6 address/],
  ],
  ["a multicast address", "198.51.100.10", "ff02::1", [/address: ff02::1 is a multicast address: /]],
  [
    "a multicast address of IPv4",
    "198.51.100.10",
    "224.0.0.251",
    [/224\.0\.0\.251 is a multicast address: /],
  ],
  [
    "an IPv4 address in disguise",
    "198.51.100.10",
    '"::ffff:198.51.100.10"',
    [/is an IPv4 address written as/],
  ],
  [
    "an IPv4 prefix for the boards' IPv6",
    "uplink: up0",
    "uplink: up0\n  boards6: 10.231.0.0/29",
    [/^f:9:12: network\.boards6: expected an IPv6 prefix of \/16 to \/126/],
  ],
  [
    "an IPv6 prefix with too little room",
    "uplink: up0",
    "uplink: up0\n  boards6: fd00::/127",
    [/^f:9:12: network\.boards6: expected an IPv6 prefix of \/16 to \/126/],
  ],
  [
    "a link-local prefix for the boards",
    "uplink: up0",
    "uplink: up0\n  boards6: fe80::/64",
    [/^f:9:12: network\.boards6: expected an IPv6 prefix/],
  ],
  [
    "a service in the boards' own IPv6 prefix",
    "198.51.100.10",
    "fd5c:9a1e:7b42::80",
    [/^f:10:42: services\[0\]\.address: fd5c:9a1e:7b42::80 lies inside network\.boards6/],
  ],
  [
    "the same endpoint twice",
    "health:",
    "  - { name: other, protocol: tcp, address: 198.51.100.10, port: 80, inside-port: 81 }\nhealth:",
    ["f:11:65: services[1].port: another service has tcp 198.51.100.10:80"],
  ],
  [
    "the same IPv6 endpoint, written otherwise",
    "health:",
    "  - { name: six, protocol: tcp, address: 2001:db8::10, port: 80 }\n  - { name: again, protocol: tcp, address: 2001:DB8:0::10, port: 80, inside-port: 81 }\nhealth:",
    ["f:12:66: services[2].port: another service has tcp [2001:db8::10]:80"],
  ],
  [
    "the same inside port in IPv6",
    "health:",
    "  - { name: six, protocol: tcp, address: 2001:db8::10, port: 80 }\n  - { name: more, protocol: tcp, address: 2001:db8::11, port: 80 }\nhealth:",
    [/^f:12:63: services\[2\]\.port: another service reaches port 80 inside/],
  ],
  [
    "the same name and the same inside port",
    "health:",
    "  - { name: web, protocol: tcp, address: 198.51.100.11, port: 80 }\nhealth:",
    [
      "f:11:13: services[1].name: another service is named web",
      /^f:11:63: services\[1\].port: another service reaches port 80 inside/,
    ],
  ],
  [
    "a service inside the boards' network",
    "198.51.100.10",
    "10.231.0.5",
    [/^f:10:42: services\[0\]\.address: 10\.231\.0\.5 lies inside network\.boards/],
  ],
  [
    "a prefix with host bits",
    "uplink: up0",
    "uplink: up0\n  boards: 10.0.0.1/29",
    [/^f:9:11: network\.boards: expected an IPv4 prefix/],
  ],
];

for (const [name, from, to, expected] of table) {
  test(`refused with line and column: ${name}`, () => {
    assert.ok(good.includes(from), "the row must change the file");
    const result = parseConfig(good.replace(from, to), "/etc/twinboard/gateway.yaml");
    assert.ok("mistakes" in result, "this configuration should have been refused");
    const found = result.mistakes.map((mistake) => mistakeText("f", mistake));
    assert.equal(found.length, expected.length, found.join("\n"));
    for (const want of expected) {
      const hit = found.some((text) => (typeof want === "string" ? text === want : want.test(text)));
      assert.ok(hit, `expected ${String(want)} in:\n${found.join("\n")}`);
    }
  });
}
