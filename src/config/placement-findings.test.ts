import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { inMadeTrees, type MadeTrees } from "../../test/fixtures/cgroup-trees.ts";
import { type HostCores, hostCores } from "../system/host-cores.ts";
import type { Config } from "./config.ts";
import { placementFindings } from "./placement-findings.ts";

const four: HostCores = {
  present: [0, 1, 2, 3],
  online: [0, 1, 2, 3],
  isolated: [],
  tickless: [],
  allowed: [0, 1, 2, 3],
};

function told(placement: Partial<Config["placement"]>, host: Partial<HostCores> = {}, cpus = 1): string[] {
  const boards = { cpus } as Config["boards"];
  const full = { cores: {}, emulator: {}, ...placement };
  const findings = placementFindings({ placement: full, file: "f", boards }, { ...four, ...host });
  return findings.map(({ severity, where, what }) => `${severity} ${where}: ${what}`);
}

test("cores that do not exist, are offline, or are not the daemon's are each refused as what they are", () => {
  const cores = { b: [1, 2, 3, 7] };
  const [absent] = told({ cores });
  assert.match(absent ?? "", /^error placement\.cores\.b: .*has no core 7$/);
  const [offline] = told({ cores: { a: [2, 3] } }, { online: [0, 1] });
  assert.match(offline ?? "", /^error placement\.cores\.a: .*core 2-3 is offline$/);
  const [outside] = told({ emulator: { a: [3] } }, { allowed: [0, 1] });
  assert.match(outside ?? "", /^error placement\.emulator\.a: .*own cpuset has no core 3$/);
  const [untold] = told({ cores }, { present: [], online: [] });
  assert.match(untold ?? "", /^unknown placement\.cores\.b/);
});

test("isolated cores, cores without a tick, and too few of them are doubtful only where that hurts", () => {
  assert.match(told({ cores: { a: [3] } }, { isolated: [3] })[0] ?? "", /^ok .*isolated$/);
  assert.match(told({ cores: { a: [2, 3] } }, { isolated: [3] })[0] ?? "", /^warning .*core 3 is isolated/);
  assert.match(told({ cores: { a: [3] } }, { tickless: [3] })[0] ?? "", /^ok /);
  assert.match(told({ emulator: { a: [3] } }, { tickless: [3] })[0] ?? "", /^warning .*nohz_full/);
  assert.match(told({ cores: { a: [3] } }, {}, 2)[0] ?? "", /^warning .*2 virtual processors share core 3/);
  assert.match(told({ cores: { a: [0] } }, { online: [0], present: [0], allowed: [0] }, 2)[0] ?? "", /^ok /);
  assert.match(told({}, { online: [0] })[0] ?? "", /^ok placement: one core/);
  assert.deepEqual(told({}), []);
});

test("what the host has is read from the kernel's files, and its cpuset from either version of groups", async () => {
  const files = { "cpu/present": "0-3\n", "cpu/online": "0-2\n", "cpu/isolated": "2\n" };
  const online = [0, 1, 2];
  const read = async (made: MadeTrees): Promise<HostCores | undefined> => {
    let found: HostCores | undefined;
    await inMadeTrees({ ...made, files: { ...files, ...made.files } }, async (root, proc) => {
      found = await hostCores(join(root, "cpu"), proc);
    });
    return found;
  };
  const plain = await read({ mounted: [], files: { "cpu/nohz_full": "(null)\n" } });
  assert.deepEqual(plain, { present: [0, 1, 2, 3], online, isolated: [2], tickless: [], allowed: online });
  const unified = await read({
    mounted: [{ holds: "cgroup2", at: "cgroup" }],
    own: "0::/system.slice/twinboard.service\n",
    files: {
      "cgroup/cgroup.controllers": "cpuset\n",
      "cgroup/system.slice/cpuset.cpus.effective": "0-1\n",
      "cgroup/system.slice/twinboard.service/cgroup.procs": "",
    },
  });
  assert.deepEqual(unified?.allowed, [0, 1]);
  const legacy = await read({
    mounted: [{ holds: "cpuset", at: "cgroup/cpuset" }],
    own: "3:cpuset:/device\n0::/\n",
    files: { "cgroup/cpuset/device/cpuset.effective_cpus": "1\n" },
  });
  assert.deepEqual(legacy?.allowed, [1]);
});
