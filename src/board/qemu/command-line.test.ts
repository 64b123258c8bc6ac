import assert from "node:assert/strict";
import { test } from "node:test";
import { systemNames } from "../../system/names.ts";
import { architectures } from "./architecture.ts";
import { type Machine, qemuArguments } from "./command-line.ts";

const names = systemNames("gateway");
const machine: Machine = {
  name: "b",
  names,
  instance: "6f1c1d1e-0000-4000-8000-000000000001",
  memoryBytes: 256 * 1024 * 1024,
  cpus: 2,
  architecture: architectures["x86-64"],
  accelerator: "tcg",
  identity: {
    mac: names.mac("b", "service"),
    ipv4: { address: "10.231.0.3/29", gateway: "10.231.0.1" },
    wire: "link",
  },
  kernelArguments: " quiet console=hvc0 ",
  initrd: true,
  diskIo: "native",
};

function after(option: string, args = qemuArguments(machine)): string[] {
  return args.flatMap((arg, i) => (args[i - 1] === option ? [arg] : []));
}

test("the host's own kernel arguments come after the manifest's, so that they hold", () => {
  const words = (after("-append")[0] ?? "").split(" ");
  assert.deepEqual(words.slice(0, 3), ["quiet", "console=hvc0", "console=ttyS0"]);
  assert.deepEqual(
    words.filter((word) => word.startsWith("twinboard.")),
    [
      "twinboard.system=gateway",
      "twinboard.board=b",
      `twinboard.mgmt=${names.mac("b", "mgmt")}`,
      `twinboard.service=${names.mac("b", "service")}`,
      "twinboard.address4=10.231.0.3/29",
      "twinboard.gateway4=10.231.0.1",
    ],
  );
});

test("a board with an IPv6 address is told it too", () => {
  const ipv6 = { address: "fd5c:9a1e:7b42::3/64", gateway: "fd5c:9a1e:7b42::1" };
  const [line = ""] = after(
    "-append",
    qemuArguments({ ...machine, identity: { ...machine.identity, ipv6 } }),
  );
  assert.match(line, / twinboard\.address6=fd5c:9a1e:7b42::3\/64 twinboard\.gateway6=fd5c:9a1e:7b42::1\b/);
  assert.doesNotMatch(after("-append")[0] ?? "", /address6|gateway6/);
});

test("a board that has its card for itself gets the device in the place of a card of the host's, and takes on the MAC address", () => {
  const identity = { mac: names.sharedMac, wire: { ownPci: "0000:03:00.0" } } as const;
  const args = qemuArguments({ ...machine, identity });
  assert.ok(after("-device", args).includes("vfio-pci,host=0000:03:00.0,rombar=0"));
  assert.deepEqual(
    after("-netdev", args).map((text) => text.split(",")[1]),
    ["id=mgmt"],
  );
  assert.match(
    after("-append", args)[0] ?? "",
    new RegExp(` twinboard.service=${names.sharedMac} twinboard.wire=own\\b`),
  );
  assert.doesNotMatch(after("-append")[0] ?? "", /twinboard\.wire/);
});

test("a board on a wire that it shares is told what there is to tell, and its card has the MAC address of the identity", () => {
  const identity = { mac: names.sharedMac, ipv6: { address: "2001:db8::10/64" }, wire: "shared" } as const;
  const args = qemuArguments({ ...machine, identity });
  const words = (after("-append", args)[0] ?? "").split(" ");
  assert.ok(words.includes(`twinboard.service=${names.sharedMac}`));
  assert.ok(words.includes("twinboard.address6=2001:db8::10/64"));
  assert.ok(!words.some((word) => /gateway\d|address4/.test(word)));
  const cards = after("-device", args).filter((arg) => arg.startsWith("virtio-net"));
  assert.deepEqual(
    cards.map((arg) => /mac=([^,]+)/.exec(arg)?.[1]),
    [names.mac("b", "mgmt"), names.sharedMac],
  );
});

test("the machine can be found by its uuid, and is confined", () => {
  assert.deepEqual(after("-uuid"), [machine.instance]);
  assert.match(after("-sandbox")[0] ?? "", /^on,.*elevateprivileges=deny,spawn=deny/);
  assert.deepEqual(after("-action"), ["panic=pause,shutdown=pause,reboot=shutdown,watchdog=pause"]);
});

test("nothing that a board boots is named by a path, so no name can carry an option", () => {
  for (const arg of [...after("-kernel"), ...after("-initrd")]) assert.match(arg, /^\/proc\/self\/fd\/\d$/);
  for (const arg of after("-blockdev")) assert.match(arg, /read-only=on/);
  assert.ok(
    after("-blockdev").every((arg) => !arg.includes("filename=") || arg.includes("filename=/dev/fdset/")),
  );
});

test("accelerator, disk and initrd are as they are asked for", () => {
  assert.deepEqual(after("-accel"), ["tcg,tb-size=64"]);
  const other = qemuArguments({ ...machine, accelerator: "kvm", initrd: false, diskIo: "threads" });
  assert.deepEqual(after("-accel", other), ["kvm"]);
  assert.deepEqual(after("-cpu", other), ["host"]);
  assert.deepEqual(after("-initrd", other), []);
  assert.ok(after("-blockdev", other).some((arg) => arg.endsWith("aio=threads")));
});

test("what the board writes goes to the log alone, so that nobody can keep it waiting; what is typed comes from a FIFO", () => {
  const chardev = after("-chardev").find((arg) => arg.includes("id=console")) ?? "";
  assert.match(chardev, /^pipe,.*path=console,logfile=\/dev\/fdset\/3,logappend=on$/);
});

test("the board is asked for signs of life where somebody watches over it", () => {
  assert.doesNotMatch(after("-append")[0] ?? "", /watchdog/);
  const watched = after("-append", qemuArguments({ ...machine, watchdogSeconds: 30 }));
  assert.match(watched[0] ?? "", / twinboard\.watchdog=30$/);
});

test("a board has a port for each disk, and a controller for USB devices, that it may be given", () => {
  assert.ok(!qemuArguments(machine).some((arg) => /root-port|xhci/.test(arg)));
  const devices = [
    { id: "disk", kind: "disk" },
    { id: "dongle", kind: "usb" },
    { id: "log", kind: "disk" },
  ] as const;
  const more = qemuArguments({ ...machine, devices });
  assert.deepEqual(
    more.slice(0, qemuArguments(machine).length),
    qemuArguments(machine),
    "all else as it was",
  );
  assert.deepEqual(
    after("-device", more).filter((arg) => /root-port|xhci/.test(arg)),
    [
      "pcie-root-port,id=port-disk,bus=pcie.0,chassis=1,slot=1",
      "pcie-root-port,id=port-log,bus=pcie.0,chassis=2,slot=2",
      "qemu-xhci,id=usb",
    ],
  );
});

test("a board has a controller for each CAN bus, on its end of the pair", () => {
  const cans = [
    { name: "bus", fd: false },
    { name: "fast", fd: true },
  ];
  const more = qemuArguments({ ...machine, cans });
  const end = machine.names.canCard("b", "bus", "board");
  assert.ok(after("-object", more).includes(`can-host-socketcan,id=canhost-bus,if=${end},canbus=can-bus`));
  assert.ok(after("-object", more).includes("can-bus,id=can-fast"));
  assert.deepEqual(
    after("-device", more).filter((arg) => arg.includes("canbus")),
    ["kvaser_pci,canbus=can-bus", "ctucan_pci,canbus0=can-fast,canbus1=canspare-fast"],
  );
});

test("each line has a port of the kind that it asks for, and the board is told which", () => {
  const lines = [
    { name: "plc", port: "tty" },
    { name: "feed", port: "virtio" },
    ...["two", "three", "four"].map((name) => ({ name, port: "tty" as const })),
  ] as const;
  const args = qemuArguments({ ...machine, lines });
  const devices = after("-device", args).filter((device) => device.includes("chardev=line-"));
  assert.deepEqual(devices, [
    "isa-serial,chardev=line-plc,index=1",
    "virtserialport,chardev=line-feed,name=org.twinboard.line.feed",
    "isa-serial,chardev=line-two,index=2,irq=6",
    "isa-serial,chardev=line-three,index=3,irq=7",
    "pci-serial,chardev=line-four",
  ]);
  assert.ok(after("-chardev", args).includes("socket,id=line-plc,path=line-plc,server=on,wait=off"));
  const words = (after("-append", args)[0] ?? "").split(" ").slice(-6);
  assert.deepEqual(words, [
    "8250.nr_uarts=5",
    "twinboard.line.plc=ttyS1",
    "twinboard.line.feed=org.twinboard.line.feed",
    "twinboard.line.two=ttyS2",
    "twinboard.line.three=ttyS3",
    "twinboard.line.four=ttyS4",
  ]);
  assert.doesNotMatch(after("-append")[0] ?? "", /nr_uarts|line\./);
});
