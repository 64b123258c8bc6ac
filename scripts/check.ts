/**
 * `npm run check`: types, lint, format, import directions, dead code. Fast, and green before each commit.
 * Runs everything and prints every failure, so that one run tells all that is wrong.
 */
import { spawnSync } from "node:child_process";

const steps: [name: string, command: string, ...args: string[]][] = [
  ["types", "tsc", "-p", "."],
  ["lint", "oxlint", "--type-aware", "--deny-warnings", "--quiet", "."],
  ["format", "biome", "check", "--error-on-warnings", "."],
  ["imports", process.execPath, "scripts/import-directions.ts"],
  ["dead code", "knip", "--no-progress"],
];

let failed = 0;
for (const [name, command, ...args] of steps) {
  const started = performance.now();
  const result = spawnSync(command, args, {
    encoding: "utf8",
    env: { ...process.env, PATH: `node_modules/.bin:${process.env["PATH"] ?? ""}` },
  });
  const ok = result.status === 0;
  if (!ok) {
    failed += 1;
    process.stdout.write(`${result.stdout ?? ""}${result.stderr ?? ""}${result.error?.message ?? ""}\n`);
  }
  process.stdout.write(
    `${ok ? "ok    " : "FAILED"} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`,
  );
}
process.exitCode = failed === 0 ? 0 : 1;
