/** A board's root file system: busybox, nginx with its libraries, the kit, and the files below `rootfs/`, in a container those below `container/` too. */
import { chmod, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { run } from "../../src/system/process.ts";
import { compileClock, compileDatagram } from "./clock.ts";
import type { UnpackedPackages } from "./debian.ts";
import { addEchoes } from "./echoes.ts";

/** What the boards are that boot an image. */
export type BoardKind = "qemu" | "container";

export interface ImageVersion {
  /** `IMAGE_VERSION`, and what the page, `/healthz` and each answer's `Image-Version` say. */
  readonly version: string;
  /** A defect: `/healthz` turns unhealthy so long after the board's `activate` hook ran. Whole seconds. */
  readonly unhealthyAfterSeconds?: number;
  /** A defect: a word of nginx's configuration is misspelt, so it does not start, and the board never says READY. */
  readonly misspelt?: boolean;
  /** It also answers the tests' numbered datagrams, numbered frames and questions over its serial lines, by its board's letter. */
  readonly echoes?: boolean;
}

const slowFileBytes = 1024 * 1024;
const kit = join(import.meta.dirname, "../../kit");
/** The later of a kind's directories takes the place of the earlier, file by file. */
const skeletons: Readonly<Record<BoardKind, readonly string[]>> = {
  qemu: ["rootfs"],
  container: ["rootfs", "container"],
};

/** Writes the squashfs of one version to `target`; equal inputs give equal bytes. `stage` is a directory to work in. */
export async function buildRootfs(
  image: ImageVersion,
  kind: BoardKind,
  packages: UnpackedPackages,
  stage: string,
  target: string,
): Promise<void> {
  await rm(stage, { recursive: true, force: true });
  for (const directory of [
    "bin",
    "dev",
    "etc",
    "proc",
    "run",
    "sbin",
    "srv",
    "sys",
    "tmp",
    "usr/sbin",
    "var",
  ])
    await mkdir(join(stage, directory), { recursive: true });
  await copyBusybox(join(packages["busybox-static"] ?? "", "bin/busybox"), stage);
  await copyNginx(packages, stage);
  for (const name of skeletons[kind])
    await copySkeleton(join(import.meta.dirname, name), image.version, stage);
  if (image.misspelt === true) await misspell(join(stage, "etc/nginx/nginx.conf"));
  const programs = (await readdir(kit)).filter((name) => !name.includes("."));
  for (const program of programs) await copyProgram(join(kit, program), stage, `usr/sbin/${program}`);
  await compileClock(join(stage, "usr/sbin/twinboard-clock"));
  await compileDatagram(join(stage, "usr/sbin/twinboard-datagram"));
  if (image.echoes === true) await addEchoes(stage);
  await writeFile(join(stage, "srv/www/slow"), slowFile());
  if (image.unhealthyAfterSeconds !== undefined) await writeHook(image.unhealthyAfterSeconds, stage);
  await rm(target, { force: true });
  // lz4, because the boards of the demo are emulated: unpacking is what costs there.
  const options = ["-noappend", "-no-progress", "-all-root", "-no-xattrs", "-quiet", "-comp", "lz4"];
  await run("mksquashfs", [stage, target, ...options], {
    timeoutMs: 60_000,
    env: { SOURCE_DATE_EPOCH: "0" },
  });
  await rm(stage, { recursive: true });
}

async function copyProgram(from: string, stage: string, path: string): Promise<void> {
  const target = join(stage, path);
  await mkdir(dirname(target), { recursive: true });
  await cp(from, target, { dereference: true });
  await chmod(target, 0o755);
}

async function copyBusybox(busybox: string, stage: string): Promise<void> {
  await copyProgram(busybox, stage, "bin/busybox");
  const { stdout } = await run(busybox, ["--list"]);
  for (const applet of stdout.toString().trim().split("\n"))
    if (applet !== "busybox") await symlink("busybox", join(stage, "bin", applet));
  await symlink("../bin/busybox", join(stage, "sbin/init"));
}

/** nginx and exactly those libraries that its own dynamic linker finds for it among the packages (ld.so(8), `--list`). */
async function copyNginx(packages: UnpackedPackages, stage: string): Promise<void> {
  const roots = Object.values(packages);
  const nginx = join(packages["nginx"] ?? "", "usr/sbin/nginx");
  const linker = join(packages["libc6"] ?? "", "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
  const paths = roots.flatMap((root) => [
    join(root, "lib/x86_64-linux-gnu"),
    join(root, "usr/lib/x86_64-linux-gnu"),
  ]);
  const { stdout } = await run(linker, ["--library-path", paths.join(":"), "--list", nginx]);
  for (const match of stdout.toString().matchAll(/=> (\S+)/g)) {
    const library = match[1] ?? "";
    if (!roots.some((root) => library.startsWith(root)))
      throw new Error(`nginx needs ${library}, which is in none of the packages`);
    if (!library.includes("ld-linux"))
      await copyProgram(library, stage, `lib/x86_64-linux-gnu/${basename(library)}`);
  }
  await copyProgram(linker, stage, "lib64/ld-linux-x86-64.so.2");
  await copyProgram(nginx, stage, "usr/sbin/nginx");
  const stream = "usr/lib/nginx/modules/ngx_stream_module.so";
  await copyProgram(join(packages["libnginx-mod-stream"] ?? "", stream), stage, stream);
}

/** Copies a directory's files, with the version put in; below `etc/init.d` are programs. */
async function copySkeleton(skeleton: string, version: string, stage: string): Promise<void> {
  for (const entry of await readdir(skeleton, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const from = join(entry.parentPath, entry.name);
    const target = join(stage, from.slice(skeleton.length));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, (await readFile(from, "utf8")).replaceAll("@VERSION@", version));
    await chmod(target, from.includes("/init.d/") ? 0o755 : 0o644);
  }
}

async function misspell(file: string): Promise<void> {
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace("worker_processes", "worker_proceses"));
}

async function writeHook(seconds: number, stage: string): Promise<void> {
  const hook = join(stage, "etc/twinboard/hooks/activate");
  const text = await readFile(join(import.meta.dirname, "unhealthy-hook"), "utf8");
  await mkdir(dirname(hook), { recursive: true });
  await writeFile(hook, text.replaceAll("@SECONDS@", String(seconds)));
  await chmod(hook, 0o755);
}

/** Numbered lines, so that a reader of a download sees whether something is missing. */
function slowFile(): string {
  return Array.from({ length: slowFileBytes / 16 }, (_, line) => `${String(line).padStart(15, "0")}\n`).join(
    "",
  );
}
