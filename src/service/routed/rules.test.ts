import assert from "node:assert/strict";
import { test } from "node:test";
import { systemNames } from "../../system/names.ts";
import type { RoutedPlan } from "./plan.ts";
import { rulesFor } from "./rules.ts";

const names = systemNames("test");
const ipv4 = { host: "10.231.0.1", a: "10.231.0.2", b: "10.231.0.3", prefixLength: 29 };
const ipv6 = { host: "fd00::1", a: "fd00::2", b: "fd00::3", prefixLength: 64 };
const web = {
  name: "web",
  protocol: "tcp",
  address: "198.51.100.10",
  port: 80,
  drainMs: 1,
  quietMs: 1,
} as const;
const plan: RoutedPlan = {
  names,
  uplink: "up0",
  links: { ipv4, ipv6 },
  services: [web, { ...web, name: "web6", address: "2001:db8::10" }],
  stateless: [],
  markMask: 0x00ff_ffff,
  masquerade: true,
  stateDirectory: "/nonexistent",
};
const own = { ipv4: "nothing", ipv6: "nothing" } as const;

function strangers(opened: Parameters<typeof rulesFor>[1]): string[] {
  return rulesFor(plan, opened).match(/(?<=\n {2})meta nfproto \S+ (?:iifname "up0" )?drop/g) ?? [];
}

test("what the host passed on before goes on, what was opened for the boards serves them alone", () => {
  assert.deepEqual(strangers(own), []);
  assert.deepEqual(strangers({ ipv4: "uplink", ipv6: "uplink" }), [
    'meta nfproto ipv4 iifname "up0" drop',
    'meta nfproto ipv6 iifname "up0" drop',
  ]);
  assert.deepEqual(strangers({ ipv4: "nothing", ipv6: "everything" }), ["meta nfproto ipv6 drop"]);
});

test("services are numbered through both families", () => {
  const text = rulesFor(plan, own);
  assert.match(text, /map numbers4 \{[^}]*elements = \{ 198\.51\.100\.10 \. tcp \. 80 : goto number_0 \}/);
  assert.match(text, /map numbers6 \{[^}]*elements = \{ 2001:db8::10 \. tcp \. 80 : goto number_1 \}/);
});

test("a family without services has rules for its boards, and empty maps", () => {
  const text = rulesFor({ ...plan, services: [web] }, own);
  assert.match(text, /map numbers6 \{\n {2}type ipv6_addr \. inet_proto \. inet_service : verdict;\s*\}/);
  assert.doesNotMatch(text, /chain probes6/);
  assert.match(text, /ip6 saddr \{ fd00::2, fd00::3 \} masquerade/);
});

test("a ClientHello is looked for where a client begins to speak, behind a TCP header of any length", () => {
  const text = rulesFor(plan, own);
  assert.match(text, /chain data \{\n {2}ct direction original ct mark & 0x1 == 0 jump turn\n/);
  assert.match(text, /tcp doff vmap \{ 5 : goto hello5, .* 15 : goto hello15 \}/);
  const [, first, behind] = /chain hello8 \{\n {2}(.*)\n {2}(.*)\n\}/.exec(text) ?? [];
  assert.equal(first, "@th,256,16 0x1603 @th,296,8 1 goto hello");
  assert.equal(behind, "@th,256,16 0x1403 @th,304,16 0x1603 @th,344,8 1 goto hello");
});

test("without IPv6 links no board has leave to say anything in IPv6 on its service card", () => {
  const text = rulesFor({ ...plan, links: { ipv4 }, services: [web] }, own);
  const [, speak = ""] = /chain speak \{([^}]*(?:\}[^}\n][^}]*)*)\n\}/.exec(text) ?? [];
  assert.match(speak, /ip saddr/);
  assert.doesNotMatch(speak, /ip6|icmpv6/);
});

test("the rules tell one plan from another in either family", () => {
  const plans: RoutedPlan[] = [
    plan,
    { ...plan, links: { ipv4, ipv6: { ...ipv6, host: "fd00::9" } } },
    { ...plan, links: { ipv4: { ...ipv4, b: "10.231.0.4" }, ipv6 } },
    { ...plan, services: [web, { ...web, name: "web6", address: "2001:db8::11" }] },
  ];
  assert.equal(new Set(plans.map((one) => rulesFor(one, own))).size, plans.length);
});

test("each service steers its new flows to the holder, to a port of its own if the board has another", () => {
  const text = rulesFor(
    {
      ...plan,
      services: [
        { ...web, insidePort: 8080 },
        { ...web, port: 90, lastPort: 99 },
      ],
    },
    own,
  );
  assert.match(
    text,
    /chain steer_0 \{ meta nfproto ipv4 meta l4proto tcp dnat ip to meta nfproto map @board4 : 8080\n\}/,
  );
  assert.match(
    text,
    /chain steer_1 \{ meta nfproto ipv4 meta l4proto tcp dnat ip to meta nfproto map @board4\n\}/,
  );
  assert.match(
    text,
    /map numbers4 \{\n.*verdict; flags interval;\n {2}elements = \{ .* 198\.51\.100\.10 \. tcp \. 90-99 : goto number_1 \}/,
  );
});

test("datagrams that are each on their own are not tracked, and their answers have the service's address and port", () => {
  const dns = {
    name: "dns",
    protocol: "udp",
    address: "198.51.100.10",
    port: 53,
    insidePort: 5353,
    drainMs: 1,
  } as const;
  const ping = { name: "ping", protocol: "icmp", address: "198.51.100.10", drainMs: 1 } as const;
  const text = rulesFor({ ...plan, stateless: [dns, ping] }, own);
  assert.match(
    text,
    /chain there_0 \{\n {2}notrack\n {2}udp dport set 5353\n {2}ip daddr set meta nfproto map @board4 accept\n {2}drop\n\}/,
  );
  assert.match(text, /chain back_0 \{\n {2}udp sport set 53\n {2}ip saddr set 198\.51\.100\.10 accept\n\}/);
  assert.match(text, /icmp type echo-request ip daddr 198\.51\.100\.10 goto there_1/);
  assert.match(text, /ct state untracked udp dport \{ 5353 \} accept/);
  assert.doesNotMatch(rulesFor(plan, own), /untracked/);
});
