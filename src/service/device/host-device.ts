/** The device on the host that a `device` service is about, looked for anew each time: what is plugged in again has another number. */
import { constants, open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { readFileIfThere } from "../../system/files.ts";

/** What the configuration says of it. */
export type DeviceMatch =
  | { readonly kind: "disk"; readonly path: string }
  /** *port*: where it is plugged in, as the kernel names it (Documentation/ABI/stable/sysfs-bus-usb): `1-1.4`. */
  | {
      readonly kind: "usb";
      readonly is: { readonly vendor: string; readonly product: string } | { readonly port: string };
    };

export interface HostDevice {
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  /** The same as long as it is the same one, plugged in once. */
  readonly identity: string;
}

const usbDevices = "/sys/bus/usb/devices";

/** Looks for it. A sentence says why it cannot be used now. @param inUse a board has it: the host's own use is not asked for. */
export async function findHostDevice(
  match: DeviceMatch,
  inUse: boolean,
  sysfs = usbDevices,
): Promise<HostDevice | string> {
  return match.kind === "disk" ? await findDisk(match.path, inUse) : await findUsb(match.is, sysfs);
}

/** For people. */
export function nameOf(match: DeviceMatch): string {
  if (match.kind === "disk") return match.path;
  return "port" in match.is
    ? `USB port ${match.is.port}`
    : `USB device ${match.is.vendor}:${match.is.product}`;
}

async function findDisk(path: string, inUse: boolean): Promise<HostDevice | string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  if (found === undefined) return `${path} is not there`;
  if (!found.isBlockDevice()) return `${path} is no block device`;
  const obstacle = inUse ? undefined : await diskObstacle(path);
  if (obstacle !== undefined) return obstacle;
  const { major, minor } = numbersOf(found.rdev);
  return { type: "b", major, minor, identity: `${major}:${minor} ${await diskSequence(major, minor)}` };
}

/** Opened exclusively a block device that the host itself uses is busy (open(2), O_EXCL; the kernel's bd_claim). */
async function diskObstacle(path: string): Promise<string | undefined> {
  try {
    await (await open(path, constants.O_RDONLY | constants.O_EXCL)).close();
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EBUSY") return `the host itself uses ${path}: it is mounted, or part of another device`;
    return `${path} cannot be opened: ${message}`;
  }
}

/** Higher for each disk that comes, also with the same number (Documentation/ABI/stable/sysfs-block, diskseq, since Linux 5.15). */
async function diskSequence(major: number, minor: number): Promise<string> {
  const directory = `/sys/dev/block/${major}:${minor}`;
  // A partition is as old as its disk.
  for (const path of [join(directory, "diskseq"), join(directory, "..", "diskseq")]) {
    const text = await readFileIfThere(path).catch(() => undefined);
    if (text !== undefined) return text.trim();
  }
  return "";
}

/** As glibc's gnu_dev_major and gnu_dev_minor (makedev(3)). */
export function numbersOf(rdev: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)),
  };
}

async function findUsb(
  is: Extract<DeviceMatch, { kind: "usb" }>["is"],
  sysfs: string,
): Promise<HostDevice | string> {
  const what = nameOf({ kind: "usb", is });
  const ports = await readdir(sysfs).catch(() => []);
  // Interfaces of a device have a colon, the hubs of the host's own are named usb1, usb2.
  const devices = ports.filter((port) => /^\d{1,3}-[\d.]{1,30}$/.test(port)).toSorted();
  const found: { readonly port: string; readonly device: HostDevice }[] = [];
  for (const port of devices) {
    if ("port" in is && is.port !== port) continue;
    const device = await readUsb(join(sysfs, port), is);
    if (device !== undefined) found.push({ port, device });
  }
  const [first, second] = found;
  if (first === undefined) return `${what} is not there`;
  if (second !== undefined)
    return `${what} is there more than once: name the port, one of ${found.map(({ port }) => port).join(", ")}`;
  return first.device;
}

async function readUsb(
  directory: string,
  is: Extract<DeviceMatch, { kind: "usb" }>["is"],
): Promise<HostDevice | undefined> {
  try {
    const read = async (name: string): Promise<string> =>
      (await readFile(join(directory, name), "utf8")).trim();
    if (
      "vendor" in is &&
      ((await read("idVendor")) !== is.vendor || (await read("idProduct")) !== is.product)
    )
      return undefined;
    const [major = Number.NaN, minor = Number.NaN] = (await read("dev")).split(":").map(Number);
    const identity = `${major}:${minor} ${await read("busnum")}-${await read("devnum")}`;
    return Number.isInteger(major + minor) ? { type: "c", major, minor, identity } : undefined;
  } catch {
    // It was pulled while we looked.
    return undefined;
  }
}
