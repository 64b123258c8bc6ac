import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { inMadeTrees, type MadeTrees } from "../../test/fixtures/cgroup-trees.ts";
import { type HostCores, hostCores } from "../system/host-cores.ts";
import { type Config, placeText } from "./config.ts";
import { parseConfig } from "./load.ts";
import { placementFindings } from "./placement-findings.ts";

const four: HostCores = {
  present: [0, 1, 2, 3],
  online: [0, 1, 2, 3],
  isolated: [],
  tickless: [],
  allowed: [0, 1, 2, 3],
  own: [0, 1, 2, 3],
};

const machines: Config["boards"]["kinds"] = { a: ["qemu"], b: ["qemu"] };

function told(
  placement: Partial<Config["placement"]>,
  host: Partial<HostCores> = {},
  cpus = 1,
  kinds = machines,
): string[] {
  const boards = { cpus, kinds } as Config["boards"];
  const full = { cores: {}, emulator: {}, ...placement };
  const config = { placement: full, file: "f", positions: {}, boards };
  const findings = placementFindings(config, { ...four, ...host });
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

test("cores beyond the daemon's affinity are doubtful, with line and column, unless they are isolated; without any a board has the daemon's", () => {
  const held = { own: [0, 1] };
  assert.match(
    told({ cores: { a: [1, 2] } }, held)[0] ?? "",
    /^warning placement\.cores\.a: f: placement\.cores\.a: core 2 is none of .* affinity .* \(0-1\)/,
  );
  assert.match(told({ emulator: { a: [3] } }, held)[0] ?? "", /^warning placement\.emulator\.a: .*core 3 /);
  assert.match(told({ cores: { a: [2] } }, { ...held, isolated: [2] })[0] ?? "", /^ok /);
  const inherited = (cores: Config["placement"]["cores"]): string => told({ cores }, held).at(-1) ?? "";
  assert.match(inherited({}), /^ok placement\.cores: both boards use what the daemon may use: 0-1 of 0-3/);
  assert.match(inherited({ a: [1] }), /^ok placement\.cores: board b uses what the daemon may use/);
  assert.match(inherited({ a: [1], b: [1] }), /^ok placement\.cores\.b: the host has 1$/);
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

test("virtual processors are doubtful where no board can be a machine", () => {
  const containers: Config["boards"]["kinds"] = { a: ["container"], b: ["container"] };
  assert.match(told({}, {}, 4, containers)[0] ?? "", /^warning boards\.cpus: it has no effect/);
  assert.deepEqual(told({}, {}, 1, containers), []);
  assert.deepEqual(told({}, {}, 4, { ...containers, b: ["container", "qemu"] }), []);
});

test("cores of the emulator are doubtful for a board that can only be a container", () => {
  const emulator = { a: [0], b: [0] };
  const kinds: Config["boards"]["kinds"] = { a: ["container"], b: ["container", "qemu"] };
  const [a, b] = told({ emulator }, {}, 1, kinds);
  assert.match(a ?? "", /^warning placement\.emulator\.a: it has no effect: this board is a container/);
  assert.match(b ?? "", /^ok placement\.emulator\.b/);
  assert.match(told({ emulator: { a: [7] } }, {}, 1, kinds)[0] ?? "", /^error placement\.emulator\.a/);
  assert.match(told({ cores: { a: [0] } }, {}, 1, kinds)[0] ?? "", /^ok /);
});

test("what the host contradicts is told with its line and column", () => {
  const text = `system: gateway
compatible: acme
trust: { keyring: keyring.pem }
boards: { memory: 64MiB }
placement:
  cores: { a: [0], b: "1,7" }
network: { mode: none }
services:
  - { name: plc, serial: /dev/ttyS1 }
`;
  const result = parseConfig(text, "/f.yaml");
  assert.ok("config" in result, JSON.stringify(result));
  const [, b] = placementFindings(result.config, four);
  assert.match(b?.what ?? "", /\/f\.yaml:6:23: placement\.cores\.b: this host has no core 7$/);
  assert.equal(b?.remedy, "name others: it has 0-3");
  const places = ["boards.user", "services.plc", "services.other"].map((key) =>
    placeText(result.config, key),
  );
  // A value that is left out is best looked for where it would be.
  assert.deepEqual(places, [
    "/f.yaml:4:1: boards.user",
    "/f.yaml:9:5: services.plc",
    "/f.yaml: services.other",
  ]);
});

test("what the host has is read from the kernel's files, and its cpuset from either version of groups", async () => {
  const files = { "cpu/present": "0-3\n", "cpu/online": "0-2\n", "cpu/isolated": "2\n" };
  const online = [0, 1, 2];
  const read = async (made: MadeTrees): Promise<HostCores | undefined> => {
    let found: HostCores | undefined;
    await inMadeTrees({ ...made, files: { ...files, ...made.files } }, async (root, proc) => {
      found = await hostCores("self", join(root, "cpu"), proc);
    });
    return found;
  };
  const plain = await read({ mounted: [], files: { "cpu/nohz_full": "(null)\n" } });
  assert.deepEqual(plain, {
    present: [0, 1, 2, 3],
    online,
    isolated: [2],
    tickless: [],
    allowed: online,
    own: online,
  });
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
  assert.deepEqual([legacy?.allowed, legacy?.own], [[1], [1]]);
});
