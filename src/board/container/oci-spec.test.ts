import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemNames } from "../../system/names.ts";
import { run } from "../../system/process.ts";
import { endOf } from "./container-process.ts";
import { type Container, ociSpec } from "./oci-spec.ts";
import { isAtLeast } from "./runtime.ts";

const container: Container = {
  name: "a",
  names: systemNames("gateway"),
  cpus: 2,
  cores: [1, 3],
  memoryHome: undefined,
  identity: {
    mac: "02:7b:00:00:00:1a",
    ipv4: { address: "10.231.0.2/29", gateway: "10.231.0.1" },
    wire: "link",
  },
  kernelArguments: "quiet init=/sbin/first -- --now",
  watchdogMs: 5000,
  firstId: 1_900_000_000,
  groupPath: "/twinboard-gateway-a/board",
};

interface Spec {
  readonly hooks?: { readonly createRuntime: { readonly path: string; readonly args: string[] }[] };
  readonly process: { readonly args: string[]; readonly env: string[]; readonly noNewPrivileges: boolean };
  readonly linux: {
    readonly namespaces: { readonly type: string }[];
    readonly uidMappings: object[];
    readonly resources: { readonly memory?: object; readonly cpu?: { readonly cpus: string } };
    readonly seccomp: { readonly architectures: string[] };
  };
}

test("the container has a user namespace, its limits, and the identity that the host gives it", () => {
  const { process, linux } = ociSpec(container, "x64") as Spec;
  assert.deepEqual(process.args, ["/sbin/first", "--now"]);
  assert.equal(process.noNewPrivileges, true);
  for (const word of [
    "NOTIFY_SOCKET=/dev/twinboard/notify",
    "WATCHDOG_USEC=5000000",
    "TWINBOARD_BOARD=a",
    "TWINBOARD_ADDRESS4=10.231.0.2/29",
    "TWINBOARD_GATEWAY4=10.231.0.1",
  ])
    assert.ok(process.env.includes(word), word);
  assert.ok(process.env.every((word) => !word.startsWith("TWINBOARD_ADDRESS6")));
  assert.deepEqual(linux.uidMappings, [{ containerID: 0, hostID: 1_900_000_000, size: 65_536 }]);
  assert.ok(linux.namespaces.some(({ type }) => type === "user"));
  assert.ok(linux.namespaces.every(({ type }) => type !== "network"));
  assert.equal(linux.resources.memory, undefined, "that is another group's");
  assert.equal(linux.resources.cpu?.cpus, "1,3");
  const arm = ociSpec(container, "arm64") as Spec;
  assert.deepEqual(arm.linux.seccomp.architectures, ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]);
});

test("without words of its own the image's init is run", () => {
  const { process, linux } = ociSpec({ ...container, kernelArguments: "quiet", cores: [] }) as Spec;
  assert.deepEqual(process.args, ["/sbin/init"]);
  assert.equal(linux.resources.cpu, undefined);
});

test("in version 1 the first process is moved to the group that limits its memory", async () => {
  assert.equal((ociSpec(container) as Spec).hooks, undefined);
  const directory = await mkdtemp(join(tmpdir(), "twinboard-move-"));
  try {
    await mkdir(join(directory, "board"));
    await writeFile(join(directory, "board/cgroup.procs"), "42\n");
    const [hook] = (ociSpec({ ...container, memoryHome: directory }) as Spec).hooks?.createRuntime ?? [];
    assert.ok(hook !== undefined);
    await run(hook.path, hook.args.slice(1));
    assert.equal(await readFile(join(directory, "cgroup.procs"), "utf8"), "42\n");
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("how a board's first process ended is what became of the board", () => {
  const causes = [129, 130, 0, 137, 1, 139].map((status) => endOf(status).cause);
  assert.deepEqual(causes, ["reset", "shutdown", "shutdown", "exit", "panic", "panic"]);
});

test("versions are compared by their numbers", () => {
  assert.deepEqual(
    ["1.8.1", "1.10", "2.0", "1.8", "0.20.0", ""].map((version) => isAtLeast(version, [1, 8, 1])),
    [true, true, true, false, false, false],
  );
});
