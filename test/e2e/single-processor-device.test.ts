/** A whole device with one processor, emulated: systemd, control groups of version 2 alone, the daemon as its unit, container boards. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Plan, RequestRecord } from "../../demo/load/request.ts";
import { requirePrograms } from "../../src/system/programs.ts";
import type { StoryResult, SystemStatus } from "../../src/upgrade/status.ts";
import { deviceData, serviceAddress, system } from "../fixtures/small-device/data.ts";
import { deviceDisks } from "../fixtures/small-device/disks.ts";
import type { MachineFindings } from "../fixtures/small-device/machine-confinement.ts";
import { SmallDevice } from "../fixtures/small-device/small-device.ts";

const unit = `twinboard@${system}.service`;
const scope = "/sys/fs/cgroup/system.slice/twinboard-boards.scope";
const group = { a: `${scope}/twinboard-${system}-a`, b: `${scope}/twinboard-${system}-b` };
/** For one step; each takes a minute or two where nothing else runs, on the slowest machine that this was seen on. */
const stepMs = 480_000;
const load: readonly Plan[] = [
  { kind: "quick", url: `http://${serviceAddress}/arguments`, intervalMs: 500, timeoutMs: 20_000 },
];

const neededHere = {
  "apt-get": "apt",
  "dpkg-deb": "dpkg",
  mksquashfs: "squashfs-tools",
  openssl: "openssl",
  "qemu-system-x86_64": "qemu-system-x86",
} as const;

async function whyNot(): Promise<string | false> {
  if (process.getuid?.() !== 0) return "needs root: the device's files belong to root";
  if (process.arch !== "x64") return `the device is x86-64, this host is ${process.arch}`;
  return await requirePrograms(neededHere).then(
    () => false,
    (error: Error) => error.message,
  );
}

/** In the background, until `/run/watch.end` is there: each value that the file has had, a line each. */
const watch = (file: string): string => `(
  last=
  until [ -e /run/watch.end ]; do
    if read -r value <${file} && [ "$value" != "$last" ]; then echo "$value"; last=$value; fi
    sleep 0.02
  done
) </dev/null >/run/watched 2>/dev/null &`;

test("a device with one processor, under systemd and control groups of version 2", {
  skip: await whyNot(),
  timeout: 1_750_000,
}, async (t) => {
  const { signal } = t;
  const directory = await mkdtemp(join(tmpdir(), "twinboard-device-"));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  const disks = await deviceDisks();
  const data = await deviceData(["1.0.0", "2.0.0"], directory, signal);
  await using device = await SmallDevice.boot(disks, data, directory, signal);
  const say = async (script: string): Promise<string> => await device.text(script, stepMs, signal);
  const twinboard = async (words: string): Promise<string> =>
    await say(`twinboard ${words} --socket /run/twinboard/${system}.sock`);
  const status = async (): Promise<SystemStatus> =>
    JSON.parse(await twinboard("status --json")) as SystemStatus;
  const upgrade = async (version: string): Promise<StoryResult> => {
    const lines = (await twinboard(`upgrade /srv/v${version}.raucb --json`)).trim().split("\n");
    const { result } = JSON.parse(lines.at(-1) ?? "{}") as { readonly result: StoryResult };
    assert.equal(result.outcome, "committed", JSON.stringify(result));
    return result;
  };
  /** What `check` finds about the control groups and the boards' cores. */
  const groupsChecked = async (): Promise<readonly string[]> => {
    const { findings } = JSON.parse(await say(`twinboard check --config /srv/${system}.yaml --json`)) as {
      readonly findings: readonly {
        readonly where: string;
        readonly what: string;
        readonly severity: string;
      }[];
    };
    const ofGroups = findings.filter(({ where }) => /^(\/sys\/fs\/cgroup|placement)/.test(where));
    return ofGroups.map(({ where, what, severity }) => `${severity} ${where}: ${what}`);
  };
  const step = stepsOf(t);

  await step("it is what it says", async () => {
    assert.equal(await say("nproc"), "1\n");
    assert.equal(await say("stat -f -c %T /sys/fs/cgroup"), "cgroup2fs\n");
    assert.equal(await say("systemctl is-system-running"), "running\n");
    await say("sh -e /srv/set-up");
    assertFine(await groupsChecked());
  });

  await step("the unit starts, and the first software is installed", async () => {
    await say(`systemctl start ${unit} || { journalctl -u ${unit} -o cat --no-pager >&2; exit 1; }`);
    await upgrade("1.0.0");
  });

  await step("an upgrade under load: the board that boots is of the idle class", async () => {
    const program = `/opt/twinboard/node_modules/.bin/node /opt/twinboard/demo/load/generator.ts`;
    const client = `sleep infinity | ip netns exec outside ${program} "$0" >/run/load 2>/run/load.err`;
    await say(`setsid sh -c '${client}' '${JSON.stringify(load)}' </dev/null >/dev/null 2>&1 &
until [ -s /run/load ]; do sleep 0.1; done
${watch(`${group.b}/cpu.idle`)}`);
    await upgrade("2.0.0");
    const watched = (await say("touch /run/watch.end; cat /run/watched")).trim().split("\n");
    assert.ok(watched.includes("1"), `it was never of the idle class: ${watched.join(", ")}`);
    assert.equal(watched.at(-1), "0", "it serves now");
    assert.equal((await say(`cat ${group.a}/cpu.idle`)).trim(), "1", "the dormant one yields when it wakes");
  });

  const kept = async (): Promise<{ readonly inMemory: number; readonly swapped: number }> => {
    const text = await say(`cat ${group.a}/board/memory.current ${group.a}/board/memory.swap.current`);
    const [inMemory = 0, swapped = 0] = text.trim().split("\n").map(Number);
    return { inMemory, swapped };
  };

  await step("what the dormant one keeps is in compressed memory", async () => {
    const { inMemory, swapped } = await kept();
    assert.ok(swapped > 0, "nothing went to zram");
    t.diagnostic(`dormant: ${inMemory / 1024} KiB in memory, ${swapped / 1024} KiB swapped`);
  });

  await step("the unit is started again: both boards go on, and the dormant one costs nothing", async () => {
    const used = async (): Promise<string> => await say(`grep usage_usec ${group.a}/board/cpu.stat`);
    const [before, usedBefore] = [await status(), await used()];
    assert.deepEqual(before.boards.b.confinement.lacks, []);
    await say(`systemctl restart ${unit}`);
    const after = await status();
    assert.deepEqual(
      [after.holder, after.boards.a.role, after.boards.a.pid, after.boards.b.pid],
      ["b", "dormant", before.boards.a.pid, before.boards.b.pid],
    );
    assert.equal(after.boards.a.dormantCpuNs, 0);
    assert.equal(await used(), usedBefore);
    assert.deepEqual([...after.boards.a.confinement.lacks, ...after.boards.b.confinement.lacks], []);
  });

  await step("a rollback wakes it, swapped as it is", async () => {
    assert.ok((await kept()).swapped > 0);
    const lines = (await twinboard("rollback --json")).trim().split("\n");
    const { result } = JSON.parse(lines.at(-1) ?? "{}") as { readonly result: StoryResult };
    assert.equal(result.outcome, "committed", JSON.stringify(result));
    assert.equal((await status()).holder, "a");
    await say("n=$(wc -l </run/load); until [ $(wc -l </run/load) -ge $((n + 3)) ]; do sleep 0.1; done");
  });

  await step("no request failed", async () => {
    const lines = (await say("cat /run/load")).split("\n").slice(0, -1);
    const records = lines
      .map((line) => JSON.parse(line) as RequestRecord | { readonly settledTo: number })
      .filter((record) => "outcome" in record);
    assert.ok(records.length > 30, `${records.length} requests`);
    assert.deepEqual(
      records.filter(({ outcome }) => outcome !== "ok"),
      [],
    );
    t.diagnostic(`${records.length} requests, none failed`);
  });

  await step(
    "groups were made in the scope alone that systemd hands over, and check finds nothing amiss",
    async () => {
      assert.equal(await say("systemctl show -P Delegate twinboard-boards.scope"), "yes\n");
      const made = await say("find /sys/fs/cgroup -type d -name 'twinboard-gateway-*'");
      assert.deepEqual(made.trim().split("\n").toSorted(), [group.a, group.b]);
      assertFine(await groupsChecked());
    },
  );

  await step("a machine's groups hold it there too: its share, its cores, its memory", async () => {
    const program = "/opt/twinboard/test/fixtures/small-device/machine-confinement.ts";
    const told = JSON.parse(await say(`/opt/twinboard/node_modules/.bin/node ${program}`)) as MachineFindings;
    assert.deepEqual(told.paths, [`${scope}/twinboard-${system}-machine`]);
    const held = { cores: "0", emulator: "0", memoryKills: 0, lacks: [] };
    assert.deepEqual(told.background, { ...held, sharePercent: 0 });
    assert.deepEqual(told.service, { ...held, sharePercent: 100 });
    assert.match(told.death ?? "nothing", /the kernel killed it, .*\(96 MiB/);
  });

  await step("taken down, it leaves nothing", async () => {
    await twinboard("down");
    await say(`while [ -e ${scope} ] || systemctl is-active -q ${unit}; do sleep 0.2; done`);
    assert.equal(await say("systemctl --failed --no-legend"), "");
  });
});

function assertFine(findings: readonly string[]): void {
  assert.ok(findings.length > 4, findings.join("\n"));
  assert.deepEqual(
    findings.filter((one) => !one.startsWith("ok ")),
    [],
  );
}

/** A part of the test, whose time is told. */
function stepsOf(t: TestContext): (name: string, body: () => Promise<void>) => Promise<void> {
  return async (name, body) => {
    const began = performance.now();
    await body();
    t.diagnostic(`${name}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
  };
}
