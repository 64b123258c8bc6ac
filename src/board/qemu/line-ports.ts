/** A board's ports for the service's serial lines and streams, as QEMU's command line. Pure. */
import { join } from "node:path";
import type { SystemNames } from "../../system/names.ts";
import type { BoardName } from "../board.ts";
import { machineDirectory } from "./board-directories.ts";

export interface BoardLine {
  /** Of the service; a name of the configuration. */
  readonly name: string;
  /**
   * *tty*: a serial port of a PC, `/dev/ttyS1` and on. *virtio*: a port `org.twinboard.line.NAME` of virtio-serial, where a program that
   * does not read makes the sender wait.
   */
  readonly port: "tty" | "virtio";
}

/** Ports at addresses that kernels know by themselves: COM2 to COM4; the first one is the console. The last two would share the others' interrupts, so they have those of floppy and printer. */
const isaPorts = ["index=1", "index=2,irq=6", "index=3,irq=7"] as const;
const portsOfPc = 1 + isaPorts.length;

/** The socket where the machine listens for who serves the line. */
export function lineSocket(names: SystemNames, board: BoardName, line: string): string {
  return join(machineDirectory(names, board), chardevOf(line));
}

export function socketChardev(id: string, path: string): string {
  return `socket,id=${id},path=${path},server=on,wait=off`;
}

export function lineArguments(lines: readonly BoardLine[]): string[] {
  let serials = 0;
  return lines.flatMap(({ name, port }) => {
    const chardev = chardevOf(name);
    const device =
      port === "virtio"
        ? `virtserialport,chardev=${chardev},name=${portName(name)}`
        : serialDevice(serials++, chardev);
    return ["-chardev", socketChardev(chardev, chardev), "-device", device];
  });
}

/** What tells the board which of its ports is which line: `twinboard.line.NAME=ttyS1`. */
export function lineKernelArguments(lines: readonly BoardLine[]): string[] {
  let serials = 0;
  const words = lines.map(({ name, port }) => {
    const device = port === "virtio" ? portName(name) : `ttyS${1 + serials++}`;
    return `twinboard.line.${name}=${device}`;
  });
  // Linux has room for four ports unless it is told (kernel-parameters.txt, 8250.nr_uarts).
  return serials < portsOfPc ? words : [`8250.nr_uarts=${1 + serials}`, ...words];
}

function serialDevice(index: number, chardev: string): string {
  const isa = isaPorts[index];
  return isa === undefined ? `pci-serial,chardev=${chardev}` : `isa-serial,chardev=${chardev},${isa}`;
}

function chardevOf(line: string): string {
  return `line-${line}`;
}

function portName(line: string): string {
  return `org.twinboard.line.${line}`;
}
