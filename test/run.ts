/**
 * `npm test`: the checks, then every test in groups. `npm test -- GROUP… FILE…` runs those alone.
 * Each file is a process of its own with a time limit; one that leaves processes or network namespaces behind has failed.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { styleText } from "node:util";
import { canIsolate, endAll, type FileResult, spawnFile } from "./spawn-file.ts";

interface Group {
  readonly name: string;
  readonly files: readonly string[];
  /** For one file: far more than it takes, so that a busy machine is not taken for one that hangs. */
  readonly limitMs: number;
  /** Files at a time. */
  readonly atOnce: number;
  /** Those of the files that take minutes, longest first: begun in this order, so that none of them is left to the end, where nothing runs beside it. */
  readonly longest?: readonly string[];
  /** Those of the files that need the machine for themselves, since they judge times or shares of a processor: after the others. */
  readonly alone?: readonly string[];
}

const groups: readonly Group[] = [
  {
    name: "unit",
    files: ["{src,kit,demo,bench,scripts}/**/*.test.ts", "test/{*,fixtures/**/*}.test.ts"],
    limitMs: 120_000,
    atOnce: 2,
  },
  { name: "contract", files: ["test/contract/**/*.test.ts"], limitMs: 480_000, atOnce: 2 },
  { name: "faults", files: ["test/faults/**/*.test.ts"], limitMs: 300_000, atOnce: 2 },
  {
    name: "system",
    files: ["test/system/**/*.test.ts"],
    limitMs: 480_000,
    atOnce: 2,
    alone: ["test/system/{bridged{,-bridge,-fence},two-cards{,-fence},datagrams,line,*placement}.test.ts"],
  },
  {
    name: "e2e",
    files: ["test/e2e/**/*.test.ts"],
    // A whole emulated device takes five minutes, on a slower machine seventeen beside other work.
    limitMs: 1_800_000,
    atOnce: 2,
    longest: [
      "single-processor-device",
      "demo",
      "killed-daemon",
      "everything",
      "failover",
      "mixed",
      "lost-power",
      "bridged",
    ].map((name) => `test/e2e/${name}.test.ts`),
  },
];

/** What `npm test` may take in all on two cores; more is said, because then nobody runs it. */
const budgetMs = 25 * 60_000;

const total = { passed: 0, failed: 0, skipped: 0 };

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
const indent = (text: string): string => text.trimEnd().replaceAll(/^/gm, "    ");

/** System and end-to-end tests need root: the whole run is repeated as root where sudo allows it. */
function becomeRoot(): void {
  if (process.getuid?.() === 0) return;
  const quiet = process.stdin.isTTY ? [] : ["-n"];
  const environment = ["PATH", "CI", "HOME"].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [`${name}=${value}`];
  });
  if (spawnSync("sudo", [...quiet, "-v"], { stdio: ["inherit", "ignore", "ignore"] }).status !== 0) {
    say("not root, and sudo is not allowed: tests that need network namespaces or real boards are skipped");
    return;
  }
  say("network namespaces and real boards need root: running by sudo");
  const command = ["env", ...environment, process.execPath, ...process.argv.slice(1)];
  const { status } = spawnSync("sudo", [...quiet, ...command], { stdio: "inherit" });
  process.exit(status ?? 1);
}

function check(): void {
  const { status } = spawnSync(process.execPath, ["scripts/check.ts"], { stdio: "inherit" });
  if (status === 0) total.passed += 1;
  else total.failed += 1;
}

function report(file: string, result: FileResult): void {
  const { passed, failures, skips } = result;
  const counts = [
    passed > 0 ? `${passed} passed` : "",
    failures.length > 0 ? `${failures.length} failed` : "",
    skips.length > 0 ? `${skips.length} skipped` : "",
  ];
  const ok = failures.length === 0;
  const cpu = result.cpuMs === undefined ? "" : `, ${seconds(result.cpuMs)} of processor`;
  const mark = ok ? styleText("green", "ok    ") : styleText("red", "FAILED");
  say(`${mark} ${file}: ${counts.filter((count) => count !== "").join(", ")} (${seconds(result.ms)}${cpu})`);
  for (const { name, reason } of skips) say(`  skipped: ${name}: ${reason}`);
  for (const { name, detail } of failures) say(`  ${styleText("red", "failed")}: ${name}\n${indent(detail)}`);
  if (!ok && result.output.trim() !== "") say(`  what it wrote:\n${indent(result.output)}`);
}

async function runGroup(group: Group, files: readonly string[], isolate: boolean): Promise<void> {
  say(`\n${styleText("bold", group.name)} (${files.length} ${files.length === 1 ? "file" : "files"})`);
  const alone = new Set(globSync([...(group.alone ?? [])]));
  let ran = 0;
  const work = async (waiting: string[]): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await spawnFile(file, group.limitMs, isolate);
      report(file, result);
      ran += result.passed + result.failures.length;
      total.passed += result.passed;
      total.failed += result.failures.length;
      total.skipped += result.skips.length;
    }
  };
  const longest = group.longest ?? [];
  const rank = (file: string): number => (longest.includes(file) ? longest.indexOf(file) : longest.length);
  const together = files.filter((file) => !alone.has(file)).toSorted((one, other) => rank(one) - rank(other));
  await Promise.all(Array.from({ length: group.atOnce }, async () => await work(together)));
  await work(files.filter((file) => alone.has(file)));
  if (ran === 0) {
    say(`${styleText("red", "FAILED")} ${group.name}: no test of this group ran`);
    total.failed += 1;
  }
}

/** The groups that the arguments ask for, with their files. Without arguments: all. */
function chosen(args: readonly string[]): (readonly [Group, string[]])[] {
  const all = groups.map((group) => [group, globSync([...group.files]).toSorted()] as const);
  if (args.length === 0) return all;
  const known = new Set(["check", ...groups.map(({ name }) => name), ...all.flatMap(([, files]) => files)]);
  const unknown = args.filter((arg) => !known.has(arg));
  if (unknown.length > 0) {
    const names = groups.map(({ name }) => name).join(", ");
    process.stderr.write(
      `no test: ${unknown.join(", ")}\n  remedy: check, ${names}, or the path of a test file\n`,
    );
    process.exit(64);
  }
  return all
    .map(
      ([group, files]) =>
        [group, args.includes(group.name) ? files : files.filter((file) => args.includes(file))] as const,
    )
    .filter(([group, files]) => files.length > 0 || args.includes(group.name));
}

const args = process.argv.slice(2).map((arg) => arg.replace(/^\.\//, ""));
const plan = chosen(args);
becomeRoot();
const started = performance.now();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    endAll();
    process.exit(130);
  });
}
if (args.length === 0 || args.includes("check")) check();
const isolate = canIsolate();
if (!isolate) say("no namespaces of processes here: what a test leaves behind is not seen");
for (const [group, files] of plan) await runGroup(group, files, isolate);

const ms = performance.now() - started;
say(`\n${seconds(ms)} in all`);
if (ms > budgetMs) say(`that is more than the ${budgetMs / 60_000} minutes that the whole is meant to take`);
say(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 ? 0 : 1;
