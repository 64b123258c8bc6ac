import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { assert as forAll, nat, property, string } from "fast-check";
import { loadConfig, mistakeText, parseConfig } from "./load.ts";

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
  - { name: web, http: ":80/healthz", interval: 200ms, timeout: 1s, failures: 3 }
`;

function mistakes(text: string): string[] {
  const result = parseConfig(text, "/etc/twinboard/gateway.yaml");
  assert.ok("mistakes" in result, "this configuration should have been refused");
  return result.mistakes.map((mistake) => mistakeText("f", mistake));
}

const kindsOf = (kind: string) => {
  const text = good.replace("memory: 256MiB", `memory: 256MiB\n  kind: ${kind}`);
  const result = parseConfig(text, "f");
  return "config" in result ? result.config.boards.kinds : result.mistakes;
};

test("boards are of one kind, of either, or each of its own", () => {
  assert.deepEqual(kindsOf("container"), { a: ["container"], b: ["container"] });
  const either = ["container", "qemu"];
  assert.deepEqual(kindsOf("[container, qemu]"), { a: either, b: either });
  assert.deepEqual(kindsOf("{ a: qemu, b: container }"), { a: ["qemu"], b: ["container"] });
  // What one of the two may be has its own keys.
  for (const kind of ["[container, qemu]", "{ a: qemu, b: container }"])
    assert.ok("a" in kindsOf(`${kind}\n  runtime: crun\n  accelerator: tcg`), kind);
});

test("a good file becomes a plain configuration with every default", () => {
  const result = parseConfig(good, "/etc/twinboard/gateway.yaml");
  assert.ok("config" in result, JSON.stringify(result));
  const { positions, ...config } = result.config;
  assert.equal(positions["services.web"], "10:5");
  assert.deepEqual(config, {
    file: "/etc/twinboard/gateway.yaml",
    system: "gateway",
    compatible: "acme-gateway",
    stateDirectory: "/var/lib/twinboard/gateway",
    trust: { keyring: "/etc/twinboard/keyring.pem", formats: ["verity"] },
    boards: {
      kinds: { a: ["qemu"], b: ["qemu"] },
      runtime: "auto",
      architecture: null,
      accelerator: "auto",
      memoryBytes: 268_435_456,
      cpus: 1,
      slotBytes: 1_073_741_824,
      user: "nobody",
      watchdogMs: null,
      dormancy: "warm",
    },
    placement: { cores: {}, emulator: {} },
    network: {
      mode: "routed",
      uplink: "up0",
      boards: { host: "10.231.0.1", a: "10.231.0.2", b: "10.231.0.3", prefixLength: 29 },
      markMask: 0x00ff_ffff,
      masquerade: true,
    },
    lines: [],
    services: [
      {
        name: "web",
        protocol: "tcp",
        address: "198.51.100.10",
        port: 80,
        flows: "session",
        drainMs: 30_000,
        quietMs: 1000,
      },
    ],
    execs: [],
    devices: [],
    cans: [],
    health: [
      {
        name: "web",
        target: { kind: "http", port: 80, path: "/healthz" },
        intervalMs: 200,
        timeoutMs: 1000,
        failures: 3,
      },
    ],
    failover: true,
    upgrade: { bootTimeoutMs: 120_000, verifyTimeoutMs: 60_000, probationMs: 60_000, attempts: 2 },
  });
});

test("the example of the documents is good, and names every section", () => {
  const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
  const [, example = ""] = /```yaml\n([^]*?)```/.exec(page) ?? [];
  const result = parseConfig(example, "/etc/twinboard/gateway.yaml");
  assert.ok("config" in result, JSON.stringify(result));
  const [web] = result.config.services;
  assert.equal(web !== undefined && "insidePort" in web ? web.insidePort : null, 8080);
  assert.deepEqual(result.config.placement, { cores: { a: [1], b: [2, 3] }, emulator: { b: [0] } });
});

/** Each row: what is replaced in the good file, by what, and the mistakes that must be named, line and column included. */
const table: [name: string, from: string | RegExp, to: string, expected: (string | RegExp)[]][] = [
  [
    "a typo",
    "uplink: up0",
    "upplink: up0",
    [/^f:8:3: network\.upplink: unknown key, did you mean uplink\? \(allowed here: mode, uplink/],
  ],
  ...['"up*"', "'u\"p'", "-up", "üüüüüüüü", "'u\\p'"].map((card): [string, string, string, RegExp[]] => [
    `a card whose name means something else to other programs, or is too long: ${card}`,
    "up0",
    card,
    [/^f:8:11: network\.uplink: expected the name of a network card, at most 15 /],
  ]),
  [
    "a value that contains itself",
    "system: gateway",
    "system: &me [*me]",
    [/^f:1:1: system: expected text, not a value that contains itself$/],
  ],
  [
    "underscores",
    "compatible: acme",
    "state_directory: /x\ncompatible: acme",
    [/^f:2:1: state_directory: unknown key, did you mean state-directory\?/],
  ],
  [
    "a size without its unit",
    "256MiB",
    "256",
    [/^f:6:11: boards\.memory: expected a size of .*such as 256MiB, not 256$/],
  ],
  ["a size with a duration's unit", "256MiB", "256s", [/^f:6:11: boards\.memory: expected a size/]],
  [
    "a duration without its unit",
    "drain: 30s",
    "drain: 30",
    [/^f:10:74: services\[0\]\.drain: expected a duration .*, not 30$/],
  ],
  [
    "a mask of no marks",
    "uplink: up0",
    "uplink: up0\n  mark-mask: 0x1ffffffff",
    [/^f:\d+:\d+: network\.mark-mask: expected a mask of 32 bits, such as 0x00ffffff/],
  ],
  [
    "a mask with too few bits for the services",
    "uplink: up0",
    "uplink: up0\n  mark-mask: 0x0000ffc0",
    [/^f:\d+:\d+: network\.mark-mask: 1 service needs a mask of 13 bits, 0x0000ffc0 has 10$/],
  ],
  [
    "a core below none",
    "memory: 256MiB",
    "memory: 256MiB\nplacement: { cores: { a: [-1] } }",
    [/^f:7:23: placement\.cores\.a: expected at least one core from 0 to 4095.*, not \[-1\]$/],
  ],
  ["a missing section", /boards:\n.*\n/, "", ["f:1:1: boards: is missing"]],
  [
    "a mapping for a list",
    /services:\n.*\n/,
    "services: web\n",
    [/^f:9:11: services: expected a list, not "web"$/],
  ],
  [
    "a port out of range",
    "port: 80,",
    "port: 80000,",
    [
      /^f:10:63: services\[0\]\.port: expected a port from 1 to 65535, or a range such as 10000-10100, not 80000$/,
    ],
  ],
  [
    "udp",
    "protocol: tcp",
    "protocol: udp",
    [/^f:10:5: services\[0\]\.flows: is missing: stateless .* or session/],
  ],
  [
    "an unknown protocol",
    "protocol: tcp",
    "protocol: sctp",
    [/^f:10:28: services\[0\]\.protocol: expected one of tcp, udp, icmp, not "sctp"$/],
  ],
  [
    "an accelerator for containers",
    "memory: 256MiB",
    "memory: 256MiB\n  kind: container\n  accelerator: tcg",
    [/^f:8:16: boards\.accelerator: means nothing here, only for boards of kind qemu$/],
  ],
  [
    "an architecture for containers",
    "memory: 256MiB",
    "memory: 256MiB\n  kind: container\n  architecture: arm64",
    [/^f:8:17: boards\.architecture: means nothing here, only for boards of kind qemu$/],
  ],
  [
    "a third architecture",
    "memory: 256MiB",
    "memory: 256MiB\n  architecture: riscv64",
    [/^f:7:17: boards\.architecture: expected one of x86-64, arm64, not "riscv64"$/],
  ],
  [
    "a runtime for machines",
    "memory: 256MiB",
    "memory: 256MiB\n  runtime: crun",
    [/^f:7:12: boards\.runtime: means nothing here, only for boards of kind container$/],
  ],
  [
    "a third kind",
    "memory: 256MiB",
    "memory: 256MiB\n  kind: [qemu, jail]",
    [/^f:7:16: boards\.kind\[1\]: expected one of qemu, container, not "jail"$/],
  ],
  [
    "a kind twice",
    "memory: 256MiB",
    "memory: 256MiB\n  kind: [qemu, qemu]",
    [/^f:7:3: boards\.kind: a kind is named twice$/],
  ],
  [
    "a kind for one board alone",
    "memory: 256MiB",
    "memory: 256MiB\n  kind: { a: qemu }",
    [/^f:7:3: boards\.kind\.b: is missing$/],
  ],
  [
    "another runtime",
    "memory: 256MiB",
    "memory: 256MiB\n  kind: container\n  runtime: lxc",
    [/^f:8:12: boards\.runtime: expected one of auto, crun, runc, not "lxc"$/],
  ],
  ["no uplink", "uplink: up0", "mode: routed", [/^f:7:1: network\.uplink: is missing, mode routed needs it/]],
  [
    "a routed service on a bridge",
    "uplink: up0",
    "uplink: up0\n  mode: bridged",
    [/^f:11:\d+: services\[0\]\.protocol: tcp services are for mode routed/],
  ],
  [
    "keys of another mode",
    "uplink: up0",
    "uplink: up0\n  linger: 20ms\n  gateway: 198.51.100.1",
    [
      /^f:9:11: network\.linger: means nothing in mode routed, only in bridged and two-cards/,
      /^f:10:12: network\.gateway: means nothing in mode routed/,
      /^f:10:12: network\.gateway: means nothing without network\.address/,
    ],
  ],
  ["failover", "health:", "failover: maybe\nhealth:", [/^f:11:11: failover: expected true or false/]],
  [
    "state",
    "health:",
    "state: { hand-over: true, deadline: 2s }\nhealth:",
    [
      /^f:11:21: state\.hand-over: state hand-over is not supported/,
      /^f:11:37: state\.deadline: state deadline is not supported/,
    ],
  ],
  [
    "a listening api",
    "health:",
    "api: { listen: 127.0.0.1:8480 }\nhealth:",
    ["f:11:16: api.listen: listen is not supported by this version"],
  ],
  [
    "slots",
    "memory: 256MiB",
    "memory: 256MiB\n  slots: { a: /dev/sda1 }",
    ["f:7:15: boards.slots.a: a slot of one's own choice is not supported by this version"],
  ],
  [
    "a check of two kinds",
    'http: ":80/healthz"',
    'http: ":80/", tcp: ":80"',
    [/^f:12:5: health\[0\]: expected exactly one of http and tcp$/],
  ],
  [
    "a check without its path",
    '":80/healthz"',
    '":80"',
    [/^f:12:24: health\[0\]\.http: expected a port and a path/],
  ],
  [
    "a key twice",
    "compatible: acme-gateway",
    "compatible: acme-gateway\ncompatible: x",
    [/^f:3:1: Map keys must be unique/],
  ],
  ["two documents", /$/, "\n---\nsystem: x\n", [/: a second document begins: expected one$/]],
  ["no YAML", /^/, "{", [/^f:\d+:\d+: /]],
  ["an empty file", /[\s\S]*/, "", ["f:1:1: expected a mapping, not null"]],
];

for (const [name, from, to, expected] of table) {
  test(`refused with line and column: ${name}`, () => {
    assert.ok(good.search(from) >= 0, "the row must change the file");
    const found = mistakes(good.replace(from, to));
    for (const want of expected) {
      const hit = found.some((text) => (typeof want === "string" ? text === want : want.test(text)));
      assert.ok(hit, `expected ${String(want)} in:\n${found.join("\n")}`);
    }
    if (name !== "no YAML") assert.equal(found.length, expected.length, found.join("\n"));
  });
}

test("all mistakes are named at once, in the order of the file", () => {
  const found = mistakes(
    good
      .replace("256MiB", "lots")
      .replace("system: gateway", "system: Gate Way")
      .replace("drain: 30s", "dran: 30s"),
  );
  assert.deepEqual(
    found.map((text) => text.split(":", 2).join(":")),
    ["f:1", "f:6", "f:10"],
  );
});

test("no text makes the parser throw", () => {
  forAll(
    property(string({ maxLength: 200 }), nat(good.length), (noise, where) => {
      parseConfig(good.slice(0, where) + noise + good.slice(where), "f");
    }),
    { numRuns: 300 },
  );
});

test("a file without an end is not read to its end", async () => {
  await assert.rejects(loadConfig("/dev/zero"), {
    code: "config-invalid",
    message: /larger than 262144 bytes/,
  });
});
