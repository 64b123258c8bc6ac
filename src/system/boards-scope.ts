/**
 * The scope that systemd hands over to us with all that is below it (`Delegate=yes`; systemd, "Control Group APIs and Delegation"). A tree of
 * version 2 that systemd owns is written to there and nowhere else. It is none of the daemon's own unit: a service whose group has groups with
 * processes below it, and controllers handed down to them, cannot be started again (systemd 252: 219/CGROUP), and boards outlive the daemon.
 */
import { spawn } from "node:child_process";
import { access, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TwinboardError } from "../errors.ts";
import { type CgroupTree, isDelegated } from "./cgroup-trees.ts";

/** systemd removes a scope with its last process: one waits in it for boards, in a group of its own, since only those may have processes. */
const keeperGroup = "keeper";
const keeper = `own=$1$(sed -n 's/^0:://p' /proc/self/cgroup)
mkdir -p "$own/${keeperGroup}"
echo "$$" >"$own/${keeperGroup}/cgroup.procs"
cd /
exec sleep infinity`;

const timeoutMs = 10_000;
const pollMs = 20;
const mostWords = 1000;

/** Scopes that are being started, by their directories: of one daemon's boards the first starts it. */
const underWay = new Map<string, Promise<void>>();

/**
 * Makes the directory that boards' groups are made in, where it is not there, and hands a controller down to them. Repeatable.
 * Errors: `missing-program`, `command-failed` (systemd-run's words), `deadline-passed`; those of the file system.
 */
export async function openHome(tree: CgroupTree, controller: string): Promise<void> {
  if (tree.version === 1) return;
  if (isDelegated(tree) && !(await isKept(tree))) {
    const started = underWay.get(tree.home) ?? startScope(tree).finally(() => underWay.delete(tree.home));
    underWay.set(tree.home, started);
    await started;
  }
  await writeFile(join(tree.home, "cgroup.subtree_control"), `+${controller}`);
}

/**
 * Gives the scope back, once no board's group is left in it, and returns when it is gone. Repeatable; nothing where there is none.
 * Errors: `deadline-passed`.
 */
export async function leaveHome(tree: CgroupTree): Promise<void> {
  if (!isDelegated(tree)) return;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const entries = await readdir(tree.home, { withFileTypes: true }).catch(() => undefined);
    if (entries === undefined) return;
    // Also those that another system has made meanwhile.
    if (entries.some((entry) => entry.isDirectory() && entry.name !== keeperGroup)) return;
    for (const pid of await keepers(tree))
      try {
        process.kill(pid);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    if (performance.now() > deadline)
      throw new TwinboardError("deadline-passed", { detail: `the end of ${tree.home} (${timeoutMs} ms)` });
    await sleep(pollMs);
  }
}

async function isKept(tree: CgroupTree): Promise<boolean> {
  return (await keepers(tree)).length > 0;
}

async function keepers({ home }: CgroupTree): Promise<number[]> {
  const text = await readFile(join(home, keeperGroup, "cgroup.procs"), "utf8").catch(() => "");
  return text.split("\n").filter(Boolean).map(Number);
}

async function startScope(tree: CgroupTree): Promise<void> {
  const { mount, home } = tree;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const ended = await runKeeper(home, mount, async () => await isKept(tree), deadline);
    // Another daemon was first, and its keeper is on its way; or it was killed, and the scope has boards, which keep it as well.
    if (ended === undefined || (await isThere(home))) return;
    // systemd still clears away one that has just ended, and has no two of one name.
    if (!(ended.detail ?? "").includes("already") || performance.now() > deadline) throw ended;
    await sleep(pollMs);
  }
}

/** Returns why it ended, or nothing once it waits in its scope. Errors: `deadline-passed`. */
async function runKeeper(
  home: string,
  mount: string,
  isUp: () => Promise<boolean>,
  deadline: number,
): Promise<TwinboardError | undefined> {
  const [slice = "", unit = ""] = home.split("/").slice(-2);
  const words = ["--scope", "--quiet", "--collect", `--slice=${slice}`, `--unit=${unit}`];
  const properties = ["Delegate=yes", "Description=Boards of Twinboard"].map((text) => `--property=${text}`);
  const child = spawn("systemd-run", [...words, ...properties, "--", "sh", "-ec", keeper, "sh", mount], {
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let failure: TwinboardError | undefined;
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-mostWords)));
  child.once("error", (cause: NodeJS.ErrnoException) => {
    const code = cause.code === "ENOENT" ? "missing-program" : "command-failed";
    failure = new TwinboardError(code, { detail: `systemd-run: ${cause.message}`, cause });
  });
  child.once("close", (code) => {
    failure ??= new TwinboardError("command-failed", { detail: `systemd-run: exit code ${code}: ${said}` });
  });
  try {
    while (!(await isUp())) {
      if (failure !== undefined) return failure;
      if (performance.now() > deadline)
        throw new TwinboardError("deadline-passed", { detail: `the scope ${unit} (${timeoutMs} ms)` });
      await sleep(pollMs);
    }
    return undefined;
  } finally {
    child.stderr.destroy();
    child.unref();
  }
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
