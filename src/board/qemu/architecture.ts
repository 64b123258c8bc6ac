/** The architectures that machines can have, and how QEMU makes such a machine (QEMU's documentation, "virt" and "q35"). */
import { TwinboardError } from "../../errors.ts";
import { type TestGuest, x86TestGuest } from "./test-guest.ts";
import { arm64TestGuest } from "./test-guest-arm64.ts";

export const architectureNames = ["x86-64", "arm64"] as const;
export type ArchitectureName = (typeof architectureNames)[number];
export type Accelerator = "kvm" | "tcg";

export interface Architecture {
  readonly name: ArchitectureName;
  readonly program: string;
  /** Debian's package of it. */
  readonly package: string;
  /** The machine and its processor, by what runs it. */
  readonly machine: Readonly<Record<Accelerator, readonly string[]>>;
  /** What the board's kernel calls its first serial port. */
  readonly console: string;
  /** How the guest tells of its panic. */
  readonly panicDevice: string;
  /** Whether serial lines of the service can be ports of a PC: only a PC has those, at places that its kernel knows. */
  readonly hasPcPorts: boolean;
  /** Whether its real-time clock is a PC's, whose interrupts QEMU delivers later if they were missed. */
  readonly hasPcClock: boolean;
  readonly kernelArguments: readonly string[];
  readonly testGuest: TestGuest;
}

const x86 = ["-machine", "q35,usb=off,vmport=off,hpet=off,smm=off,sata=off,smbus=off"] as const;

export const architectures: Readonly<Record<ArchitectureName, Architecture>> = {
  "x86-64": {
    name: "x86-64",
    program: "qemu-system-x86_64",
    package: "qemu-system-x86",
    machine: { kvm: [...x86, "-cpu", "host"], tcg: x86 },
    console: "ttyS0",
    panicDevice: "pvpanic",
    hasPcPorts: true,
    hasPcClock: true,
    // The kernel's test of its timer panics where a machine under emulation gets no processor time for a moment.
    kernelArguments: ["no_timer_check"],
    testGuest: x86TestGuest,
  },
  arm64: {
    name: "arm64",
    program: "qemu-system-aarch64",
    package: "qemu-system-arm",
    machine: {
      kvm: ["-machine", "virt,gic-version=host", "-cpu", "host"],
      // A processor without pointer authentication, which costs an emulator more than all else that `max` has.
      tcg: ["-machine", "virt,gic-version=3", "-cpu", "cortex-a72"],
    },
    console: "ttyAMA0",
    panicDevice: "pvpanic-pci",
    hasPcPorts: false,
    hasPcClock: false,
    kernelArguments: [],
    testGuest: arm64TestGuest,
  },
};

/** That of this host's processor; `undefined` if it is none of these. */
export function hostArchitecture(arch: string = process.arch): ArchitectureName | undefined {
  return arch === "x64" ? "x86-64" : arch === "arm64" ? "arm64" : undefined;
}

/** What the configuration's `architecture` comes to: the host's own unless it names one. Errors: `config-invalid`. */
export function architectureOf(
  wanted: ArchitectureName | undefined,
  arch: string = process.arch,
): Architecture {
  const name = wanted ?? hostArchitecture(arch);
  if (name !== undefined) return architectures[name];
  throw new TwinboardError("config-invalid", {
    detail: `boards.architecture: this host is ${arch}; machines are ${architectureNames.join(" or ")}, which one must be named here and is emulated`,
  });
}
