import assert from "node:assert/strict";
import { test } from "node:test";
import { mistakeText, parseConfig } from "./load.ts";

const before = `system: gateway
compatible: acme-gateway
trust: { keyring: keyring.pem }
boards: { memory: 256MiB }
network: { uplink: up0 }
services:
  - { name: web, protocol: tcp, address: 198.51.100.10, port: 80 }
`;

function parse(...lines: readonly string[]): ReturnType<typeof parseConfig> {
  return parseConfig(
    `${before}${lines.map((line) => `  - ${line}\n`).join("")}`,
    "/etc/twinboard/gateway.yaml",
  );
}

test("a serial line and a stream become lines, with every default, and stay apart from the network's services", () => {
  const result = parse(
    "{ name: plc, serial: /dev/ttyS1 }",
    "{ name: feed, stream: { connect: /run/feed.sock } }",
  );
  assert.ok("config" in result, JSON.stringify(result));
  assert.deepEqual(
    result.config.services.map(({ name }) => name),
    ["web"],
  );
  assert.deepEqual(result.config.lines, [
    {
      name: "plc",
      outside: {
        kind: "serial",
        device: "/dev/ttyS1",
        baud: 115_200,
        dataBits: 8,
        parity: "none",
        stopBits: 1,
        flowControl: "none",
        dtr: true,
        rts: true,
        breakMs: null,
      },
      bufferBytes: 65_536,
      port: "tty",
    },
    {
      name: "feed",
      outside: { kind: "connect", endpoint: { path: "/run/feed.sock" } },
      bufferBytes: 65_536,
      port: "tty",
    },
  ]);
});

test("every key of a line says something", () => {
  const result = parse(
    "{ name: plc, serial: /dev/serial/by-id/usb-plc, baud: 9600, data-bits: 7, parity: even, stop-bits: 2, flow-control: xon-xoff, dtr: off, rts: off, break: 250ms, buffer: 128KiB, port: virtio }",
    "{ name: feed, stream: { listen: 127.0.0.1:5000 }, buffer: 1KiB, port: virtio }",
    '{ name: far, stream: { connect: "[2001:db8::7]:5000" } }',
  );
  assert.ok("config" in result, JSON.stringify(result));
  const [plc, feed, far] = result.config.lines;
  assert.deepEqual(plc, {
    name: "plc",
    outside: {
      kind: "serial",
      device: "/dev/serial/by-id/usb-plc",
      baud: 9600,
      dataBits: 7,
      parity: "even",
      stopBits: 2,
      flowControl: "xon-xoff",
      dtr: false,
      rts: false,
      breakMs: 250,
    },
    bufferBytes: 131_072,
    port: "virtio",
  });
  assert.deepEqual(feed?.outside, { kind: "listen", endpoint: { host: "127.0.0.1", port: 5000 } });
  assert.deepEqual(far?.outside, { kind: "connect", endpoint: { host: "2001:db8::7", port: 5000 } });
});

const one = "{ name: one, serial: /dev/ttyS1 }";
/** Each row: entries of `services`, and the mistakes that must be named. */
const table: [name: string, lines: readonly string[], expected: readonly RegExp[]][] = [
  [
    "values out of range",
    [
      "{ name: plc, serial: /dev/ttyS1, baud: 49, data-bits: 9, parity: mark, stop-bits: 3, flow-control: both, dtr: up }",
    ],
    [
      /^f:8:44: services\[1\]\.baud: expected a whole number from 50 to 4000000, not 49$/,
      /^f:8:59: services\[1\]\.data-bits: expected a whole number from 5 to 8, not 9$/,
      /parity: expected one of none, even, odd, not "mark"$/,
      /stop-bits: expected a whole number from 1 to 2, not 3$/,
      /flow-control: expected one of none, rts-cts, xon-xoff, not "both"$/,
      /dtr: expected one of on, off, not "up"$/,
    ],
  ],
  [
    "a device that is no path",
    ["{ name: plc, serial: ttyS1 }"],
    [/^f:8:26: services\[1\]\.serial: expected an absolute path, not "ttyS1"$/],
  ],
  [
    "a typo",
    ["{ name: plc, serial: /dev/ttyS1, boud: 9600 }"],
    [/^f:8:38: services\[1\]\.boud: unknown key, did you mean baud\?/],
  ],
  [
    "a buffer without its unit",
    ["{ name: plc, serial: /dev/ttyS1, buffer: 4096 }"],
    [/buffer: expected a size of 1 KiB to 16 MiB .*such as 64KiB, not 4096$/],
  ],
  [
    "a break that is too long",
    ["{ name: plc, serial: /dev/ttyS1, break: 6s }"],
    [/break: expected a duration of 1 ms to 5 s/],
  ],
  [
    "a stream with a serial line's keys",
    ["{ name: feed, stream: { connect: /run/feed }, break: 250ms, baud: 9600 }"],
    [
      /^f:8:58: services\[1\]\.break: a stream has no break: that is a serial line's$/,
      /baud: a stream has no baud/,
    ],
  ],
  [
    "a stream and a serial line",
    ["{ name: feed, stream: { connect: /run/feed }, serial: /dev/ttyS1 }"],
    [/^f:8:19: services\[1\]\.stream: expected one of serial and stream$/],
  ],
  [
    "a stream that does both",
    ["{ name: feed, stream: { connect: /run/a, listen: /run/b } }"],
    [/stream: expected exactly one of connect and listen$/],
  ],
  [
    "a stream that does neither",
    ["{ name: feed, stream: {} }"],
    [/stream: expected exactly one of connect and listen$/],
  ],
  ...[
    "feed",
    "127.0.0.1",
    "127.0.0.1:0",
    "127.0.0.1:70000",
    "::1:5000",
    "host:5000",
    `/${"x".repeat(108)}`,
  ].map((at): [string, string[], RegExp[]] => [
    `an endpoint like ${at.slice(0, 20)}`,
    [`{ name: feed, stream: { connect: "${at}" } }`],
    [
      /^f:8:38: services\[1\]\.stream\.connect: expected the absolute path of a unix socket, or an address and a port/,
    ],
  ]),
  [
    "two of one name",
    [one, "{ name: one, serial: /dev/ttyS2 }"],
    [/^f:9:13: services\[2\]\.name: another service is named one$/],
  ],
  [
    "the name of a network service",
    ["{ name: web, serial: /dev/ttyS1 }"],
    [/^f:8:13: services\[1\]\.name: another service is named web$/],
  ],
  [
    "two on one device",
    [one, "{ name: two, serial: /dev/../dev/ttyS1 }"],
    [/^f:9:26: services\[2\]\.serial: service one has \/dev\/ttyS1 already$/],
  ],
  [
    "two on one socket",
    [
      "{ name: one, stream: { listen: 127.0.0.1:5000 } }",
      "{ name: two, stream: { listen: 127.0.0.1:5000 } }",
    ],
    [/^f:9:36: services\[2\]\.stream\.listen: service one has 127\.0\.0\.1:5000 already$/],
  ],
  [
    "a stream where a service is",
    ["{ name: feed, stream: { listen: 198.51.100.10:80 } }"],
    [/service web has 198\.51\.100\.10:80 already$/],
  ],
  [
    "a stream on every address, where a service is on one",
    ["{ name: feed, stream: { listen: 0.0.0.0:80 } }", "{ name: six, stream: { listen: '[::]:80' } }"],
    [
      /services\[1\]\..*service web has 0\.0\.0\.0:80/,
      /services\[2\]\..*service feed has \[::\]:80 already$/,
    ],
  ],
  [
    "a stream before the service that has its address",
    [
      "{ name: feed, stream: { listen: 198.51.100.10:81 } }",
      "{ name: late, protocol: tcp, address: 198.51.100.10, port: 81-90 }",
    ],
    [/^f:8:37: services\[1\]\.stream\.listen: service late has 198\.51\.100\.10:81 already$/],
  ],
  [
    "two on one socket, written in two ways",
    ["{ name: one, stream: { listen: '[::1]:81' } }", "{ name: two, stream: { listen: '[0:0::1]:81' } }"],
    [/services\[2\]\.stream\.listen: service one has \[::1\]:81 already$/],
  ],
  [
    "a level that flow control moves",
    ["{ name: plc, serial: /dev/ttyS1, flow-control: rts-cts, rts: off }"],
    [/rts: not with flow-control: rts-cts, which moves it$/],
  ],
  [
    "characters of flow control that do not fit",
    ["{ name: plc, serial: /dev/ttyS1, flow-control: xon-xoff, data-bits: 5 }"],
    [/flow-control: xon-xoff needs at least 7 data-bits, not 5$/],
  ],
  [
    "too many",
    Array.from({ length: 17 }, (_, i) => `{ name: l${i}, serial: /dev/tty${i} }`),
    [/^f:24:5: services\[17\]: expected at most 16 serial lines and streams$/],
  ],
];

for (const [name, lines, expected] of table) {
  test(`refused with line and column: ${name}`, () => {
    const result = parse(...lines);
    assert.ok("mistakes" in result, "this configuration should have been refused");
    const found = result.mistakes.map((mistake) => mistakeText("f", mistake));
    for (const want of expected)
      assert.ok(
        found.some((text) => want.test(text)),
        `expected ${want} in:\n${found.join("\n")}`,
      );
    assert.equal(found.length, expected.length, found.join("\n"));
  });
}
