/** Services that are not traffic: programs, devices, CAN buses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LeasedConfig } from "./leased-schema.ts";
import { mistakeText, parseConfig } from "./load.ts";

const head = `system: gateway
compatible: acme-gateway
trust: { keyring: keyring.pem }
boards: { memory: 256MiB }
network: { uplink: up0 }
services:
  - { name: web, protocol: tcp, address: 198.51.100.10, port: 80 }
`;

function parsed(...services: string[]): LeasedConfig {
  const result = parseConfig(head + services.map((line) => `  - ${line}\n`).join(""), "gateway.yaml");
  assert.ok("config" in result, JSON.stringify(result));
  const { execs, devices, cans } = result.config;
  assert.equal(result.config.services.length, 1);
  return { execs, devices, cans };
}

function mistakes(...services: string[]): string {
  const result = parseConfig(head + services.map((line) => `  - ${line}\n`).join(""), "gateway.yaml");
  assert.ok("mistakes" in result, "this configuration should have been refused");
  return result.mistakes.map((mistake) => mistakeText("f", mistake)).join("\n");
}

test("a program, a disk, a USB device and a bus, with every default", () => {
  assert.deepEqual(
    parsed(
      '{ name: relay, exec: [/usr/local/lib/relay-service, --unit, "3"] }',
      "{ name: log, device: { virtio-blk: /dev/disk/by-id/usb-log } }",
      '{ name: dongle, device: { usb: "0403:60AF" } }',
      "{ name: bus, can: can0 }",
    ),
    {
      execs: [
        {
          name: "relay",
          exec: ["/usr/local/lib/relay-service", "--unit", "3"],
          timeoutMs: 5000,
          drainMs: 30_000,
        },
      ],
      devices: [
        { name: "log", device: { kind: "disk", path: "/dev/disk/by-id/usb-log" }, timeoutMs: 5000 },
        {
          name: "dongle",
          device: { kind: "usb", is: { vendor: "0403", product: "60af" } },
          timeoutMs: 5000,
        },
      ],
      cans: [{ name: "bus", bus: "can0", fd: false }],
    },
  );
});

test("what is said holds", () => {
  const { execs, devices, cans } = parsed(
    "{ name: relay, exec: [/bin/relay], timeout: 20s, drain: 0s }",
    "{ name: dongle, device: { usb: 1-1.4 }, timeout: 2s }",
    "{ name: bus, can: can0, fd: true }",
  );
  assert.deepEqual([execs[0]?.timeoutMs, execs[0]?.drainMs, devices[0]?.timeoutMs], [20_000, 0, 2000]);
  assert.deepEqual(devices[0]?.device, { kind: "usb", is: { port: "1-1.4" } });
  assert.equal(cans[0]?.fd, true);
});

test("what is wrong is told where it stands", () => {
  for (const [service, message] of [
    ["{ name: relay, exec: relay-service }", /f:8:\d+: services\[1\]\.exec: expected a list/],
    ["{ name: relay, exec: [] }", /services\[1\]\.exec/],
    ["{ name: relay, exec: [relay-service] }", /services\[1\]\.exec\[0\]: expected an absolute path/],
    ["{ name: relay, exec: [/bin/relay, 3] }", /services\[1\]\.exec\[1\]: expected text, not 3/],
    ["{ name: relay, exec: [/bin/relay], timeout: 5 }", /services\[1\]\.timeout: expected a duration/],
    [
      "{ name: relay, exec: [/bin/relay], port: 80 }",
      /unknown key.*allowed here: name, exec, timeout, drain/,
    ],
    ["{ name: log, device: /dev/sdb }", /services\[1\]\.device: expected a mapping/],
    ["{ name: log, device: {} }", /expected exactly one of virtio-blk and usb/],
    ["{ name: log, device: { virtio-blk: /dev/sdb, usb: 1-1 } }", /expected exactly one of/],
    ["{ name: log, device: { virtio-blk: sdb } }", /virtio-blk: expected an absolute path/],
    ["{ name: dongle, device: { usb: ftdi } }", /usb: expected vendor and product/],
    [`{ name: ${"l".repeat(25)}, device: { usb: 1-1 } }`, /name: expected at most 24 characters/],
    ["{ name: bus, can: a/b }", /can: expected the name of a network card/],
    ["{ name: bus, can: can0, fd: 1 }", /fd: expected true or false/],
  ] as const)
    assert.match(mistakes(service), message);
});

test("what two services cannot both have is a contradiction", () => {
  assert.match(mistakes("{ name: web, can: can0 }"), /services\[1\]\.name: another service is named web/);
  assert.match(
    mistakes("{ name: bus, can: can0 }", "{ name: other, can: can0 }"),
    /services\[2\]\.can: service bus has CAN bus can0 already/,
  );
  const disk = "device: { virtio-blk: /dev/sdb }";
  assert.match(mistakes(`{ name: x, ${disk} }`, `{ name: y, ${disk} }`), /service x has \/dev\/sdb already/);
  assert.match(
    mistakes('{ name: x, device: { usb: "0403:60af" } }', '{ name: y, device: { usb: "0403:60AF" } }'),
    /service x has USB device 0403:60af already/,
  );
});
