/** The initrd of a board: busybox, the drivers of QEMU's hardware, and an init that mounts the root file system. */
import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type ArchiveEntry, consoleMode, cpioArchive, directoryMode, fileMode, programMode } from "./cpio.ts";

/** What a board needs of its kernel; each brings what it depends on. pvpanic tells QEMU of a panic. */
const drivers = [
  "virtio_pci",
  "virtio_blk",
  "virtio_console",
  "virtio_net",
  "virtio_balloon",
  "virtio-rng",
  "pvpanic-mmio",
  "pvpanic-pci",
  "squashfs",
];

/** Of drivers that not every kernel is built with: without them a panic shows as a reset. */
export const panicDrivers: readonly string[] = ["pvpanic-mmio", "pvpanic-pci"];

/**
 * @param kernel directory of the unpacked kernel package. @param busybox path of the static busybox.
 * @param without drivers that this kernel is known not to have.
 */
export async function buildInitrd(
  kernel: string,
  busybox: string,
  without: readonly string[] = [],
): Promise<Buffer> {
  const wanted = drivers.filter((name) => !without.includes(name));
  const modules = await driverModules(kernel, wanted);
  const directories = ["bin", "dev", "modules", "root"];
  const entries: ArchiveEntry[] = [
    ...directories.map((path) => ({ path, mode: directoryMode })),
    // The kernel opens it before init can mount anything.
    { path: "dev/console", mode: consoleMode, device: [5, 1] },
    { path: "init", mode: programMode, content: await readFile(join(import.meta.dirname, "initrd-init")) },
    { path: "bin/busybox", mode: programMode, content: await readFile(busybox) },
    {
      path: "modules/order",
      mode: fileMode,
      content: Buffer.from([...modules.keys()].map((name) => `${name}.ko\n`).join("")),
    },
    ...[...modules].map(([name, content]) => ({ path: `modules/${name}.ko`, mode: fileMode, content })),
  ];
  return cpioArchive(entries);
}

/** Modules by name, each after what it depends on: the order in which insmod(8) takes them. */
async function driverModules(kernel: string, wanted: readonly string[]): Promise<Map<string, Buffer>> {
  const paths = new Map(
    globSync(join(kernel, "lib/modules/*/kernel/**/*.ko")).map((path) => [basename(path, ".ko"), path]),
  );
  const modules = new Map<string, Buffer>();
  const add = async (name: string): Promise<void> => {
    if (modules.has(name)) return;
    const path = paths.get(name) ?? paths.get(name.replaceAll("_", "-"));
    if (path === undefined) throw new Error(`${kernel} has no module ${name}`);
    const content = await readFile(path);
    for (const dependency of dependencies(content)) await add(dependency);
    modules.set(name, content);
  };
  for (const name of wanted) await add(name);
  return modules;
}

/** What a module itself says that it needs: `depends=a,b` in its section .modinfo (modinfo(8)). */
function dependencies(module: Buffer): string[] {
  const start = module.indexOf("\0depends=") + 1;
  if (start === 0) return [];
  const list = module.toString("latin1", start + "depends=".length, module.indexOf(0, start));
  return list === "" ? [] : list.split(",");
}
