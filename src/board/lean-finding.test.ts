import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inMadeTrees, type MadeTrees } from "../../test/fixtures/cgroup-trees.ts";
import { leanFindings } from "./lean-finding.ts";

const swap = "Filename Type Size Used Priority\n/dev/zram0 partition 1 0 -2\n";

async function found(made: MadeTrees, swaps = swap): Promise<string[]> {
  let told: string[] = [];
  await inMadeTrees(made, async (root, proc) => {
    await writeFile(join(proc, "swaps"), swaps);
    const findings = await leanFindings(["qemu", "container"], proc);
    for (const { severity, remedy } of findings) assert.equal(remedy === "", severity === "ok");
    told = findings.map(({ severity, what }) => `${severity} ${what.replace(root, "")}`);
  });
  return told;
}

test("a host that can take memory back, and has swap, lacks nothing", async () => {
  const unified = { "cg/cgroup.controllers": "memory\n", "cg/memory.reclaim": "" };
  const well = ["ok lean: memory of a sleeping board is taken back, and the host has swap"];
  assert.deepEqual(await found({ mounted: [{ holds: "cgroup2", at: "cg" }], files: unified }), well);
  const first = { "cg/memory.force_empty": "", "cg/own/memory.force_empty": "" };
  const mounted = [{ holds: "memory", at: "cg" }];
  assert.deepEqual(await found({ mounted, own: "4:memory:/own\n", files: first }), well);
});

test("a kernel without the file, no controller, and no swap are each told, with what is lost", async () => {
  const files = { "cg/cgroup.controllers": "memory\n" };
  assert.deepEqual(await found({ mounted: [{ holds: "cgroup2", at: "cg" }], files }, ""), [
    "warning lean: a machine gives back what its guest's balloon does, and no more: this kernel has no /cg/memory.reclaim",
    "warning lean: a container gives nothing back, and sleeps as one that is warm: this kernel has no /cg/memory.reclaim",
    "warning lean: what a sleeping board does not give back stays in memory: the host has no swap",
  ]);
  assert.deepEqual(await found({ mounted: [] }), [
    "warning lean: a machine gives back what its guest's balloon does, and no more: no memory controller is mounted",
    "warning lean: a container gives nothing back, and sleeps as one that is warm: no memory controller is mounted",
  ]);
});
