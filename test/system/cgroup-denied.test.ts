/** Control groups that cannot be made: trees that are mounted read-only, and trees that belong to somebody else. In mount namespaces of their own. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { findCgroupTrees } from "../../src/system/cgroup-trees.ts";
import { run } from "../../src/system/process.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { runCommand } from "../fixtures/command.ts";
import { whyNoContainers } from "../fixtures/container/subject.ts";
import type { DeniedBoard, DeniedShare } from "../fixtures/denied-board.ts";

type Enter = (command: string, args: readonly string[]) => [string, string[]];

interface Told {
  readonly severity: string;
  readonly where: string;
  readonly what: string;
  readonly remedy: string | null;
  readonly code: string | null;
}

const skip = process.geteuid?.() === 0 ? false : "mount namespaces need root";
const noMachines = await whyNoMachines();
const noContainers = await whyNoContainers();
const nobody = 65_534;
const group = `twinboard-test-denied-${process.pid}`;
const trees = (await findCgroupTrees()).all;
const points = trees.map(({ mount }) => mount);
const oldest = Math.min(...trees.map(({ version }) => version));
let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "twinboard-denied-"));
  if (skip !== false) return;
  for (const point of points) {
    await mkdir(join(point, group));
    await run("chown", [`${nobody}:${nobody}`, join(point, group)]);
  }
});
after(async () => {
  await rm(directory, { recursive: true });
  if (skip === false) for (const point of points) await rmdir(join(point, group));
});

const enterBy =
  (script: string): Enter =>
  (command, args) => [
    "unshare",
    ["-m", "--propagation", "private", "sh", "-ec", script, "sh", points.join(":"), group, command, ...args],
  ];
const each = (act: string): string =>
  `IFS=:; for point in $1; do ${act}; done; unset IFS; group=$2; shift 2;`;

const readOnly = enterBy(`${each('mount -o remount,ro,bind "$point"')} exec "$@"`);
/** In each tree only a group that is nobody's is to be seen, and root has no right over what is not its own (capabilities(7)). */
const othersOnly = enterBy(
  `${each('mount --bind "$point/$2" "$point"')} exec setpriv --bounding-set=-dac_override "$@"`,
);

const cases = [
  { name: "read-only", enter: readOnly, reason: /is mounted read-only/ },
  {
    name: "somebody else's",
    enter: othersOnly,
    reason: /cannot be written to by this process|the daemon's own group is outside of/,
  },
];

async function findings(enter: Enter, kind: "container" | "qemu"): Promise<readonly Told[]> {
  const config = join(directory, `${kind}.yaml`);
  await writeFile(
    config,
    `system: ${group}
compatible: test
state-directory: ${directory}/state
trust: { keyring: ca.pem }
boards: { kind: ${kind}, memory: 64MiB${kind === "qemu" ? ", accelerator: tcg" : ""} }
placement: { cores: { a: [0], b: [0] } }
network: { uplink: none0 }
services: [{ name: web, protocol: tcp, address: 198.51.100.10, port: 80 }]
`,
  );
  const { stdout, stderr } = await runCommand(["check", "--config", config, "--json"], {}, enter);
  assert.equal(stderr, "");
  return (JSON.parse(stdout) as { findings: readonly Told[] }).findings;
}

/** Severities of what is said of groups, in the order of the list; each that is not well has its reason and a remedy. */
function ofGroups(all: readonly Told[], reason: RegExp): string[] {
  const found = all.filter(({ where }) => where === "/sys/fs/cgroup" || where === "placement.cores");
  for (const { severity, what, remedy } of found.filter((finding) => finding.severity !== "ok")) {
    assert.match(what, reason);
    assert.ok(remedy !== null && remedy !== "", `${severity}: ${what}`);
  }
  return found.map(({ severity }) => severity);
}

async function inside(enter: Enter, ...words: readonly string[]): Promise<unknown> {
  const program = join(import.meta.dirname, "../fixtures/denied-board.ts");
  const [command, args] = enter(process.execPath, [program, ...words]);
  return JSON.parse((await run(command, args, { timeoutMs: 200_000 })).stdout.toString()) as unknown;
}

async function boot(enter: Enter, kind: "container" | "qemu"): Promise<DeniedBoard> {
  return (await inside(enter, kind)) as DeniedBoard;
}

for (const { name, enter, reason } of cases) {
  test(`trees that are ${name}: check refuses containers, and takes machines with what they will lack`, {
    skip,
  }, async () => {
    const containers = await findings(enter, "container");
    assert.deepEqual(ofGroups(containers, reason).toSorted(), ["error", "warning", "warning", "warning"]);
    const refusal = containers.find(({ code }) => code === "cgroup-unwritable");
    assert.match(refusal?.remedy ?? "", /remount,rw.*let the daemon write to it/);
    for (const { mount } of trees.filter(({ version }) => version === oldest))
      assert.ok(refusal?.what.includes(mount) === true, `${mount} is named: ${refusal?.what}`);
    assert.deepEqual(ofGroups(await findings(enter, "qemu"), reason), ["warning", "warning", "warning"]);
  });

  test(`trees that are ${name}: a container does not boot, by name, and is taken down without an error`, {
    skip: noContainers,
    timeout: 60_000,
  }, async () => {
    const { code, message } = await boot(enter, "container");
    assert.equal(code, "cgroup-unwritable");
    assert.match(message ?? "", reason);
  });
}

test("trees that are read-only: a machine boots, sleeps and is taken down, and says what it lacks", {
  skip: noMachines,
  timeout: 240_000,
}, async () => {
  const { code, message, lacks } = await boot(readOnly, "qemu");
  assert.deepEqual([code, message], [null, null]);
  assert.equal(lacks.length, 3, lacks.join("\n"));
  const wanted = [
    /kept out of the other's way .*read-only$/,
    /memory .*read-only$/,
    /cores .* affinity alone/,
  ];
  for (const [index, lack] of wanted.entries()) assert.match(lacks[index] ?? "", lack);
});

test("a tree becomes read-only while a board runs: its share is told as a lack, stops nothing, and is set once that is possible", {
  skip: noContainers,
  timeout: 60_000,
}, async () => {
  const own = enterBy('shift 2; exec "$@"');
  const { denied, afterwards } = (await inside(own, "container", "share")) as DeniedShare;
  const lack = /^its share .* could not be made that of one in service: .* is mounted read-only$/;
  assert.deepEqual(denied.filter((text) => lack.test(text)).length, 1, denied.join("\n"));
  assert.deepEqual(
    afterwards,
    denied.filter((text) => !lack.test(text)),
  );
});
