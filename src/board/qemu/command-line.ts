/** The machine that a board is, as QEMU's command line. Pure: the same board and start give the same words. */
import type { SystemNames } from "../../system/names.ts";
import type { BoardDevice, BoardName } from "../board.ts";
import type { BoardIdentity, CardAddress } from "../identity.ts";
import type { Accelerator, Architecture } from "./architecture.ts";
import { balloonId } from "./balloon.ts";
import { type BoardLine, lineArguments, lineKernelArguments, socketChardev } from "./line-ports.ts";

export interface Machine {
  readonly name: BoardName;
  readonly names: SystemNames;
  readonly instance: string;
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly architecture: Architecture;
  readonly accelerator: Accelerator;
  readonly identity: BoardIdentity;
  readonly kernelArguments: string;
  /** Which of the optional images the board has. */
  readonly initrd: boolean;
  /** `native`: the root file system was opened with O_DIRECT, so no worker threads are needed. */
  readonly diskIo: "native" | "threads";
  /** Within how many seconds the board says again and again that it lives; never, if it is left out. */
  readonly watchdogSeconds?: number | undefined;
  /** What it can be given while it runs. */
  readonly devices?: readonly BoardDevice[] | undefined;
  /** CAN buses that it has a controller for. */
  readonly cans?: readonly CanController[] | undefined;
  /** Serial lines and streams of the service: for each a port, whose other end is a socket (`line-ports.ts`). */
  readonly lines?: readonly BoardLine[] | undefined;
}

export interface CanController {
  /** The name of the service that it is. */
  readonly name: string;
  /** *true*: a CTU CAN FD controller, else an SJA1000 (Kvaser PCI). */
  readonly fd: boolean;
}

/** File descriptors that the process inherits: it need not, and cannot, find these files by their paths. */
export const inherited = { stderr: 2, console: 3, rootfs: 4, kernel: 5, initrd: 6 } as const;

/** Names of the sockets, in the process's working directory. */
export const sockets = { qmp: "qmp", notify: "notify", agent: "agent", clock: "clock" } as const;

/**
 * Where QEMU's `pipe` chardev reads what is typed on the console (`.in`, a FIFO), in the process's working directory. What the board
 * writes goes to the log alone: of `.out`, the null device, nobody can be slow to read.
 */
export const consolePipe = { path: "console", input: "console.in", output: "console.out" } as const;

/** The kernel argument that asks the board's kit to say that it lives, and how often. */
export const watchdogArgument = "twinboard.watchdog";

/** QEMU's names for the host's ends of ports of which it is asked whether a program in the board has them open. */
export const chardevs = { agent: "agent", clock: "clock" } as const;

/** Bytes of QEMU's cache of translated code under emulation; it fills, and counts as the board's memory. */
export const translationCacheBytes = 64 * 1024 * 1024;

export function qemuArguments(machine: Machine): string[] {
  return [
    ["-name", `twinboard-${machine.names.system}-${machine.name},debug-threads=on`],
    ["-uuid", machine.instance],
    ["-nodefaults", "-no-user-config", "-display", "none"],
    // A crash or shutdown keeps the machine and its console for who wants to know why; it must not start again by itself.
    ["-action", "panic=pause,shutdown=pause,reboot=shutdown,watchdog=pause"],
    ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
    ...processor(machine),
    ...boot(machine),
    ...control(),
    ...card(machine, "mgmt", machine.names.mac(machine.name, "mgmt")),
    ...serviceCard(machine),
    ...plugs(machine),
    ...canControllers(machine),
    ...lineArguments(machine.lines ?? []),
  ].flat();
}

/** The kind of machine and of processor. */
export function machineArguments({ machine }: Architecture, accelerator: Accelerator): string[] {
  const options = accelerator === "kvm" ? "kvm" : `tcg,tb-size=${translationCacheBytes / 1024 / 1024}`;
  return [...machine[accelerator], "-accel", options];
}

function processor({ architecture, accelerator, cpus, memoryBytes }: Machine): string[] {
  return [
    ...machineArguments(architecture, accelerator),
    ["-smp", String(cpus), "-m", `size=${Math.floor(memoryBytes / 1024)}K`],
    // `host` goes on while the machine is paused, so a guest that reads its RTC after waking finds the right time.
    ["-rtc", "base=utc,clock=host"],
    ["-device", architecture.panicDevice],
    ["-object", "rng-builtin,id=entropy", "-device", "virtio-rng-pci,rng=entropy"],
    ["-device", `virtio-balloon-pci,id=${balloonId},free-page-reporting=on,deflate-on-oom=on`],
  ].flat();
}

function boot(machine: Machine): string[] {
  const aio = machine.diskIo === "native" ? "aio=native,cache.direct=on" : "aio=threads";
  return [
    ["-kernel", `/proc/self/fd/${inherited.kernel}`],
    ...(machine.initrd ? ["-initrd", `/proc/self/fd/${inherited.initrd}`] : []),
    ["-append", kernelCommandLine(machine)],
    ["-add-fd", `fd=${inherited.rootfs},set=${inherited.rootfs}`],
    "-blockdev",
    `driver=file,node-name=rootfs-file,filename=/dev/fdset/${inherited.rootfs},read-only=on,${aio}`,
    ["-blockdev", "driver=raw,node-name=rootfs,file=rootfs-file,read-only=on"],
    ["-device", "virtio-blk-pci,drive=rootfs,serial=rootfs"],
  ].flat();
}

/** The manifest's arguments first: where the kernel takes the last of a kind, the host's own hold. */
function kernelCommandLine(machine: Machine): string {
  const { architecture, kernelArguments, names, name, identity, watchdogSeconds, lines } = machine;
  return [
    kernelArguments.trim(),
    `console=${architecture.console}`,
    // Without a pvpanic driver in the board, its panic shows as a reset.
    "panic=-1",
    ...architecture.kernelArguments,
    `twinboard.system=${names.system}`,
    `twinboard.board=${name}`,
    `twinboard.mgmt=${names.mac(name, "mgmt")}`,
    `twinboard.service=${identity.mac}`,
    ...(typeof identity.wire === "object" ? ["twinboard.wire=own"] : []),
    ...addressArguments(4, identity.ipv4),
    ...addressArguments(6, identity.ipv6),
    ...(watchdogSeconds === undefined ? [] : [`${watchdogArgument}=${watchdogSeconds}`]),
    ...lineKernelArguments(lines ?? []),
  ]
    .join(" ")
    .trim();
}

function addressArguments(family: 4 | 6, told: CardAddress | undefined): string[] {
  if (told === undefined) return [];
  const { address, gateway } = told;
  return [
    `twinboard.address${family}=${address}`,
    ...(gateway === undefined ? [] : [`twinboard.gateway${family}=${gateway}`]),
  ];
}

function control(): string[] {
  return [
    ["-chardev", socketChardev("qmp", sockets.qmp), "-mon", "chardev=qmp,mode=control"],
    ["-add-fd", `fd=${inherited.console},set=${inherited.console}`],
    [
      "-chardev",
      `pipe,id=console,path=${consolePipe.path},logfile=/dev/fdset/${inherited.console},logappend=on`,
    ],
    ["-serial", "chardev:console"],
    ["-device", "virtio-serial-pci"],
    ["-chardev", socketChardev("notify", sockets.notify)],
    ["-device", "virtserialport,chardev=notify,name=org.twinboard.notify"],
    ["-chardev", socketChardev(chardevs.agent, sockets.agent)],
    ["-device", `virtserialport,chardev=${chardevs.agent},name=org.qemu.guest_agent.0`],
    ["-chardev", socketChardev(chardevs.clock, sockets.clock)],
    ["-device", `virtserialport,chardev=${chardevs.clock},name=org.twinboard.clock`],
  ].flat();
}

/** A passed-through card brings no boot code: QEMU would run it, and the board boots from elsewhere. */
function serviceCard(machine: Machine): string[] {
  const { mac, wire } = machine.identity;
  if (typeof wire === "string") return card(machine, "service", mac);
  return ["-device", `vfio-pci,host=${wire.ownPci},rombar=0`];
}

function card({ names, name }: Machine, role: "mgmt" | "service", mac: string): string[] {
  return [
    ["-netdev", `tap,id=${role},ifname=${names.card(name, role)},script=no,downscript=no`],
    ["-device", `virtio-net-pci,netdev=${role},mac=${mac},romfile=`],
  ].flat();
}

/** Where QEMU puts a device that is plugged in later: a disk needs a port of its own, USB devices share a controller. */
export const usbBus = "usb.0";
export const portOf = (id: string): string => `port-${id}`;

/** Last, so that what the board has at its start stands where it stands without them. */
function plugs({ devices = [] }: Machine): string[] {
  const disks = devices.filter(({ kind }) => kind === "disk");
  const ports = disks.flatMap(({ id }, index) => [
    "-device",
    `pcie-root-port,id=${portOf(id)},bus=pcie.0,chassis=${index + 1},slot=${index + 1}`,
  ]);
  return disks.length === devices.length ? ports : [...ports, "-device", "qemu-xhci,id=usb"];
}

/**
 * Each on the board's end of a pair of cards, which must be there when the machine starts (QEMU, "CAN Bus Emulation Support"). A CTU CAN
 * FD card has two controllers, and takes no less than two buses: nothing is on the second.
 */
function canControllers({ names, name, cans = [] }: Machine): string[] {
  return cans.flatMap(({ name: service, fd }) => {
    const bus = `can-${service}`;
    const card = names.canCard(name, service, "board");
    return [
      ["-object", `can-bus,id=${bus}`],
      ["-object", `can-host-socketcan,id=canhost-${service},if=${card},canbus=${bus}`],
      ...(fd ? [["-object", `can-bus,id=canspare-${service}`]] : []),
      ["-device", fd ? `ctucan_pci,canbus0=${bus},canbus1=canspare-${service}` : `kvaser_pci,canbus=${bus}`],
    ].flat();
  });
}
