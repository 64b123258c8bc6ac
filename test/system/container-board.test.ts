/** What the contract of a board does not ask of containers: what they can do and cannot, and what is left of them. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ContainerGroup, findHierarchies } from "../../src/board/container/container-group.ts";
import { findCgroupTrees } from "../../src/system/cgroup-trees.ts";
import { run } from "../../src/system/process.ts";
import { rejects } from "../contract/board-subject.ts";
import { ConsoleShell } from "../fixtures/board/console-shell.ts";
import { makeContainerSubject, whyNoContainers } from "../fixtures/container/subject.ts";

const skip = await whyNoContainers();
const options = { skip, timeout: 90_000 };

/** Loop devices that a file is under. */
async function loopsOf(file: string): Promise<string> {
  return (await run("losetup", ["--noheadings", "--associated", file])).stdout.toString();
}

async function digestOf(file: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
}

/** What its group says, of either version; the limit itself where there is no such controller. */
async function mostProcesses(pid: number): Promise<string> {
  const tree = (await findCgroupTrees()).of("pids");
  if (tree === undefined) return "1024";
  const groups = await readFile(`/proc/${pid}/cgroup`, "utf8");
  const own = tree.version === 1 ? /^\d+:(?:\S+,)?pids(?:,[^:]*)?:(.*)$/m : /^0::(.*)$/m;
  return (await readFile(join(tree.mount, own.exec(groups)?.[1] ?? "", "pids.max"), "utf8")).trim();
}

test("a board is confined, has the identity that it was given, and serves", options, async ({ signal }) => {
  await using subject = await makeContainerSubject();
  const { board, software } = subject;
  const start = software();
  const image = start.images["rootfs"] ?? "";
  const before = await digestOf(image);
  await board.start(start, signal);
  await board.ready(signal);
  const condition = await board.inspect();
  assert.ok(condition.state === "running");
  const status = await readFile(`/proc/${condition.pid}/status`, "utf8");
  const [uid = 0] = /^Uid:\s+(\d+)/m.exec(status)?.slice(1).map(Number) ?? [];
  assert.ok(uid >= 0x7000_0000, "its root is nobody on the host");
  assert.match(status, /^NoNewPrivs:\s+1$/m);
  assert.match(status, /^Seccomp:\s+2$/m);
  // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, SYS_BOOT (capability.h).
  assert.match(status, /^CapBnd:\s+00000000004405fb$/m);
  assert.equal(await mostProcesses(condition.pid), "1024");

  const shell = await ConsoleShell.open(board, signal);
  assert.equal(await shell.run("id -u"), "0");
  assert.match(
    await shell.run("ip -4 addr show eth0; ip route"),
    /10\.231\.0\.2\/29[^]*default via 10\.231\.0\.1/,
  );
  assert.match(await shell.run("mount -t tmpfs x /tmp 2>&1 || echo refused"), /refused/);
  assert.match(await shell.run("unshare -r true 2>&1 || echo refused"), /refused/);
  assert.match(await shell.run("date -s @1000 2>&1"), /not permitted/);
  assert.match(await shell.run("ip link set eth0 down 2>&1 || echo refused"), /refused/);
  assert.match(await shell.run("mknod /tmp/n c 1 3; cat /tmp/n 2>&1 || echo refused"), /refused/);
  assert.match(await shell.run("echo 1 >/proc/sys/kernel/panic || echo refused"), /refused/);
  assert.equal(await shell.run("echo changed >/etc/mine && cat /etc/mine"), "changed");
  assert.equal(await shell.run("hostname"), "board-a");
  assert.equal(await shell.run("ls /sys/class/net | sort | tr '\\n' ' '"), "eth0 lo mgmt");
  const asked = await run("curl", ["-gs", "-m", "5", `http://[${board.mgmtHost}]/arguments`], { signal });
  const answer = asked.stdout.toString();
  assert.equal(answer, "test.version=1.0.0", "the host reaches it over its host-only card");
  await board.stop(signal);
  assert.equal(await digestOf(image), before, "its slot is as it was");
  // The last of its helpers may still be ending.
  while ((await loopsOf(image)) !== "") await sleep(20, undefined, { signal });
});

test(
  "an ext4 image is mounted; what cannot be is unpacked, and that is said",
  options,
  async ({ signal }) => {
    await using ext4 = await makeContainerSubject({}, "ext4");
    await ext4.board.start(ext4.software(), signal);
    await ext4.board.ready(signal);
    await ext4.board.stop(signal);
    await using unpacked = await makeContainerSubject({ rootfs: "unpack" });
    await unpacked.board.start(unpacked.software({ reports: "2.0" }), signal);
    assert.deepEqual(await unpacked.board.ready(signal), { version: "2.0" });
    const said = (await unpacked.board.consoleTail(20)).join("\n");
    assert.match(said, /the root file system is unpacked into memory: this was asked for/);
  },
);

test("an image that is none: the start fails, says why, and leaves nothing", options, async ({ signal }) => {
  await using subject = await makeContainerSubject();
  const { board, software } = subject;
  await rejects(board.start({ ...software(), images: {} }, signal), "board-start-failed");
  await rejects(
    board.start({ ...software(), images: { rootfs: import.meta.filename } }, signal),
    "board-start-failed",
  );
  assert.deepEqual(await board.inspect(), { state: "off" });
  assert.equal(await loopsOf(import.meta.filename), "");
  await board.start(software(), signal);
  await board.ready(signal);
});

test(
  "one that never rests is frozen and ended; one that ends at once is dead",
  options,
  async ({ signal }) => {
    await using subject = await makeContainerSubject();
    const { board, software } = subject;
    await board.start({ ...software(), kernelArguments: "test.busy=3" }, signal);
    await board.ready(signal);
    await board.pause(signal);
    const asleep = await board.usage();
    await sleep(500, undefined, { signal });
    const later = await board.usage();
    assert.equal(later?.cpuNs, asleep?.cpuNs);
    // The kernel may still take something back, long after the board rests.
    assert.ok(asleep !== undefined && later !== undefined && later.residentBytes <= asleep.residentBytes);
    await board.stop(signal);
    assert.deepEqual(await board.processes(), []);

    await board.start({ ...software(), kernelArguments: "test.end=7" }, signal);
    for (;;) {
      const condition = await board.inspect();
      if (condition.state === "dead") {
        assert.match(condition.reason ?? "", /exit status 7/);
        break;
      }
      assert.equal(condition.state, "running");
      await sleep(20, undefined, { signal });
    }
  },
);

test("a dormant board hears nothing, also not when it wakes", options, async ({ signal }) => {
  await using subject = await makeContainerSubject();
  const { board, options: made, software } = subject;
  await board.start(software(), signal);
  await board.ready(signal);
  const inside = `twinboard-${made.names.system}-a`;
  const heard = async (): Promise<number> => {
    const show = ["-netns", inside, "-json", "-statistics", "link", "show", "dev", "mgmt"];
    const [card] = JSON.parse((await run("ip", show, { signal })).stdout.toString()) as [
      { stats64: { rx: { packets: number } } },
    ];
    return card.stats64.rx.packets;
  };
  const knock = ["-gs", "-m", "1", `http://[${board.mgmtHost}]/arguments`];
  await board.pause(signal);
  const before = await heard();
  const { exitCode } = await run("curl", knock, { signal, allowedExitCodes: [28, 7] });
  assert.notEqual(exitCode, 0);
  assert.equal(await heard(), before);
  await board.resume(signal);
  await run("curl", knock, { signal });
  assert.ok((await heard()) > before);
});

test(
  "a board that is killed while it sleeps is none that could be woken: that is told, and it starts anew",
  options,
  async ({ signal }) => {
    await using subject = await makeContainerSubject();
    const { board, software } = subject;
    await board.start(software(), signal);
    await board.ready(signal);
    await board.pause(signal);
    const condition = await board.inspect();
    assert.ok(condition.state === "dormant");
    const died = Promise.withResolvers<string>();
    board.subscribe((event) => {
      if (event.type === "died") died.resolve(event.detail);
    });
    process.kill(condition.pid, "SIGKILL");
    // In version 1 it is still there, as it was.
    while ((await board.inspect()).state === "dormant") await sleep(10, undefined, { signal });
    assert.match(await died.promise, /killed/);
    await rejects(board.resume(signal), "board-resume-failed");
    const found = await board.inspect();
    if (found.state !== "off")
      assert.match(found.state === "dead" ? (found.reason ?? "") : "", /while it slept/);
    await board.start(software(), signal);
    await board.ready(signal);
    assert.equal((await board.inspect()).state, "running");
  },
);

test(
  "its launch script is killed: the board goes on, and nothing is left when it is stopped",
  options,
  async ({ signal }) => {
    await using subject = await makeContainerSubject();
    const { board, restart, options: made, software } = subject;
    const start = software();
    await board.start(start, signal);
    await board.ready(signal);
    const monitor = Number(
      (await readFile(join(made.names.runDirectory, "container-a/monitor"), "utf8")).split(" ")[0],
    );
    process.kill(monitor, "SIGKILL");
    await board.release();
    const next = restart();
    assert.deepEqual(await next.ready(signal), { version: "1.0.0" });
    await next.stop(signal);
    assert.deepEqual(await next.inspect(), { state: "off" });
    await next.start(software(), signal);
    await next.ready(signal);
    await next.tearDown(signal);
    for (const root of (await findHierarchies()).roots)
      assert.ok(
        (await readdir(root)).every((name) => name !== `twinboard-${made.names.system}-a`),
        root,
      );
    assert.ok(!existsSync(`/run/netns/twinboard-${made.names.system}-a`));
  },
);

test(
  "a board is stopped, and one that slept is woken, also where somebody froze the group above it",
  options,
  async ({ signal }) => {
    await using subject = await makeContainerSubject();
    const { board, software, options: made } = subject;
    const { freezer } = await findHierarchies();
    assert.ok(freezer !== undefined);
    const file = freezer.version === 1 ? "freezer.state" : "cgroup.freeze";
    const above = join(freezer.home, `twinboard-${made.names.system}-a`, file);
    const freezeAbove = async (): Promise<void> =>
      await writeFile(above, freezer.version === 1 ? "FROZEN" : "1");
    await board.start(software(), signal);
    await board.ready(signal);
    await board.pause(signal);
    await freezeAbove();
    await board.resume(signal);
    assert.equal((await board.inspect()).state, "running");
    await freezeAbove();
    await board.stop(signal);
    assert.equal((await board.inspect()).state, "off");
  },
);

test("a process that does not leave the kernel is named", { skip, timeout: 60_000 }, async ({ signal }) => {
  const { freezer } = await findHierarchies();
  assert.ok(freezer !== undefined);
  const directory = await mkdtemp(join(tmpdir(), "twinboard-stuck-"));
  const name = `twinboard-test-stuck-${process.pid}`;
  const group = new ContainerGroup(name);
  const image = join(directory, "image");
  const mounted = join(directory, "mounted");
  try {
    await run("mkdir", ["-p", mounted, join(freezer.mount, group.path)]);
    await run("truncate", ["-s", "16M", image]);
    await run("mke2fs", ["-q", "-t", "ext4", image]);
    await run("mount", ["-o", "loop", image, mounted]);
    await run("fsfreeze", ["-f", mounted]);
    // A write to a file system that is frozen waits until it is not, whatever is sent to it.
    const script = `echo $$ >"$1/cgroup.procs"; : >"$2/file" & wait`;
    const stuck = run("sh", ["-c", script, "sh", join(freezer.mount, group.path), mounted], {
      timeoutMs: 50_000,
    }).catch(() => undefined);
    while (!(await group.holds((await group.processes())[1] ?? 0))) await sleep(10, undefined, { signal });
    await sleep(300, undefined, { signal });
    await assert.rejects(group.kill(signal), { code: "deadline-passed", message: /\(sh\) is in state D/ });
    await run("fsfreeze", ["-u", mounted]);
    await group.kill(signal);
    await stuck;
  } finally {
    await run("fsfreeze", ["-u", mounted], { allowedExitCodes: [1] });
    await run("umount", [mounted], { allowedExitCodes: [1, 32] });
    await group.remove();
    await rm(directory, { recursive: true, force: true });
  }
});
