/** `npm run bench` as a command: what it knows, and what it refuses. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type RunResult, run } from "../src/system/process.ts";
import type { Bench } from "./bench.ts";

const program = join(import.meta.dirname, "main.ts");
const usageExitCode = 64;
const limitMs = 30_000;

async function bench(...args: readonly string[]): Promise<RunResult> {
  return await run(process.execPath, [program, ...args], {
    timeoutMs: limitMs,
    allowedExitCodes: [usageExitCode],
  });
}

test("--help lists the benches with a line each; without a name the same is a wrong command line", async () => {
  const { stdout, exitCode } = await bench("--help");
  assert.equal(exitCode, 0);
  assert.match(stdout.toString(), /^usage: npm run bench/);
  assert.match(stdout.toString(), /^ {2}upgrades-in-a-row +upgrades of real boards/m);
  assert.doesNotMatch(stdout.toString(), /^ {2}(main|bench)/m);
  const nameless = await bench();
  assert.deepEqual([nameless.exitCode, nameless.stdout.toString()], [usageExitCode, stdout.toString()]);
});

test("--help of one tells its options with their defaults", async () => {
  const { stdout } = await bench("upgrades-in-a-row", "--help");
  assert.match(stdout.toString(), /--count N +upgrades, 1 to 1000 \(10\)/);
  assert.match(stdout.toString(), /--json FILE/);
});

test("whatever docs/bench.md says to draw what it measured has --plot, and nothing else", async () => {
  const text = await readFile(join(import.meta.dirname, "../docs/bench.md"), "utf8");
  const told = text.split(/^## /m).filter((section) => section.includes("| `--plot FILE` |"));
  const names = (await readdir(import.meta.dirname)).filter((file) => /^[a-z-]+\.ts$/.test(file));
  const drawn: string[] = [];
  for (const file of names) {
    const module = file === "main.ts" ? {} : ((await import(`./${file}`)) as { readonly bench?: Bench });
    if ("bench" in module && module.bench?.hasPlot === true) drawn.push(module.bench.name);
  }
  assert.deepEqual(new Set(told.map((section) => section.split("\n")[0])), new Set(drawn));
  assert.ok(drawn.includes("dormant"));
});

test("a default that depends on the boards is told for both", async () => {
  const { stdout } = await bench("serial-takeover", "--help");
  assert.match(stdout.toString(), /--takeovers N .*\(200; 10 with --boards qemu\)/);
  assert.match(stdout.toString(), /--port KIND .*\(virtio; with --boards qemu alone\)/);
  const { stdout: other } = await bench("udp-takeover", "--help");
  assert.match(other.toString(), /--every MS .*\(500; not with --boards qemu\)/);
});

for (const [what, args, words] of [
  ["a bench that is not there", ["no-such"], /there is no bench no-such; there are .*upgrades-in-a-row/],
  ["a file of the folder that is none", ["main"], /there is no bench main/],
  ["an option that is not there", ["upgrades-in-a-row", "--number", "3"], /--number/],
  [
    "a count that is none",
    ["upgrades-in-a-row", "--count", "0x10"],
    /--count is a whole number from 1 to 1000/,
  ],
  ["a count that is too high", ["upgrades-in-a-row", "--count", "1001"], /from 1 to 1000, not "1001"/],
  [
    "boards that are none",
    ["upgrades-in-a-row", "--boards", "vax"],
    /--boards is qemu or container, not "vax"/,
  ],
  [
    "boards that are neither",
    ["bridged-takeover", "--boards", "vax"],
    /--boards is namespace or qemu, not "vax"/,
  ],
  [
    "a pace of machines, which take as long as they take",
    ["udp-takeover", "--boards", "qemu", "--every", "500"],
    /--every does not go with --boards qemu/,
  ],
  [
    "traffic beside the commit of machines",
    ["commit", "--boards", "qemu", "--rate", "5"],
    /--rate does not go with --boards qemu/,
  ],
  [
    "a rate of the line of stand-ins",
    ["serial-takeover", "--rate", "2000"],
    /--rate does not go with --boards namespace/,
  ],
  [
    "a kind of flow that is none",
    ["udp-takeover", "--flows", "x"],
    /--flows is stateless or session, not "x"/,
  ],
  [
    "a file for the figures in a directory that is not there",
    ["same-core", "--json", "/nonexistent/here/figures.json"],
    /--json \/nonexistent\/here\/figures\.json: there is no directory \/nonexistent\/here: make it/,
  ],
  [
    "a plot in a directory that is none",
    ["same-core", "--plot", "/dev/null/plot.svg"],
    /--plot \/dev\/null\/plot\.svg cannot be written \(ENOTDIR\): name another file/,
  ],
  [
    "a directory in the place of a file",
    ["same-core", "--json", "/tmp"],
    /--json \/tmp is a directory: name a file in it/,
  ],
  [
    "takeovers without a quiet time between",
    ["commit", "--every", "100", "--window", "50"],
    /--every 100 leaves no quiet window: at least 400/,
  ],
] as const) {
  const known = ["--number", "--json", "--plot"];
  const asked = args[1]?.startsWith("--") === true && !known.includes(args[1]);
  const needsRoot = asked && process.getuid?.() !== 0;
  test(`${what} is refused with exit code 64`, {
    skip: needsRoot && "needs root to get as far as its options",
  }, async () => {
    const { exitCode, stderr } = await bench(...args);
    assert.equal(exitCode, usageExitCode);
    assert.match(stderr, words);
    assert.match(stderr, /^usage: /m);
  });
}
