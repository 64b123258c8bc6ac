/**
 * `npm run bench -- NAME [--json FILE] [--plot FILE] …`: runs one measurement; without a name, or with `--help`, tells which there are.
 * Exit codes: 0 measured and all as promised, 1 not, 64 usage, 130 ended by Ctrl-C.
 */
import { globSync } from "node:fs";
import { access, constants, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { asRoot, inForeground, UsageError } from "../demo/foreground.ts";
import { tableLines } from "../src/cli/format.ts";
import type { Bench, BenchOption } from "./bench.ts";

const ours = new Set(["main", "bench", "plot"]);
const names = globSync("*.ts", { cwd: import.meta.dirname })
  .map((path) => basename(path, ".ts"))
  .filter((name) => !ours.has(name) && !name.endsWith(".test"))
  .toSorted();

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function load(name: string): Promise<Bench> {
  const module = (await import(join(import.meta.dirname, `${name}.ts`))) as { readonly bench: Bench };
  return module.bench;
}

const usage = "usage: npm run bench -- NAME [--json FILE] [OPTIONS]";

async function listOfBenches(): Promise<string> {
  const benches = await Promise.all(names.map(load));
  return `${usage}\n\n${tableLines(benches.map(({ name, summary }) => [`  ${name}`, summary])).join(
    "\n",
  )}\n\nnpm run bench -- NAME --help tells the options of one.`;
}

function helpOf({ name, summary, options, hasPlot }: Bench): string {
  const own = Object.entries(options).map(([option, { value, meaning, default: standard }]) => [
    `  --${option} ${value}`,
    `${meaning} (${defaultText(standard)})`,
  ]);
  const rows = [...own, ["  --json FILE", "writes the figures as one object"]];
  if (hasPlot === true) rows.push(["  --plot FILE", "draws what was measured, as SVG"]);
  return `${name}: ${summary}\n\n${tableLines(rows).join("\n")}`;
}

function defaultText(standard: BenchOption["default"]): string {
  if (typeof standard === "string") return standard;
  const { namespace, qemu } = standard;
  if (namespace === null) return `${qemu}; with --boards qemu alone`;
  return `${namespace}; ${qemu === null ? "not with" : `${qemu} with`} --boards qemu`;
}

type Values = Readonly<Record<string, string | undefined>>;

/** A value for each option that goes with the boards asked for. Errors: `UsageError` for one that does not. */
function optionsOf({ options }: Bench, values: Values): Record<string, string> {
  const usualBoards = options["boards"]?.default;
  const boards = values["boards"] ?? (typeof usualBoards === "string" ? usualBoards : "");
  const found: Record<string, string> = {};
  for (const [name, { default: standard }] of Object.entries(options)) {
    // Of boards that are none the bench itself knows.
    const usual = typeof standard === "string" ? standard : standard[boards as keyof typeof standard];
    const given = values[name];
    if (usual === null && given !== undefined)
      throw new UsageError(`--${name} does not go with --boards ${boards}`);
    const value = given ?? usual;
    if (value !== undefined && value !== null) found[name] = value;
  }
  return found;
}

async function main(args: readonly string[], signal: AbortSignal): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h") {
    say(await listOfBenches());
    return name === undefined ? 64 : 0;
  }
  if (!names.includes(name)) throw new UsageError(`there is no bench ${name}; there are ${names.join(", ")}`);
  const bench = await load(name);
  const { values } = parseArgs({
    args: rest,
    options: {
      help: { type: "boolean", short: "h" },
      json: { type: "string" },
      ...(bench.hasPlot === true ? { plot: { type: "string" } } : {}),
      ...Object.fromEntries(Object.keys(bench.options).map((option) => [option, { type: "string" }])),
    },
  });
  if (values.help === true) {
    say(helpOf(bench));
    return 0;
  }
  const { json, plot } = values as Values;
  // A measurement takes minutes, and its figures are nowhere else.
  for (const [option, file] of Object.entries({ json, plot }))
    if (file !== undefined) await refuseUnwritable(`--${option}`, file);
  return await measure(bench, optionsOf(bench, values as Values), { json, plot }, signal);
}

/** Errors: `UsageError` for a file that cannot be written, which says where and what to do. */
async function refuseUnwritable(option: string, file: string): Promise<void> {
  const directory = dirname(resolve(file));
  const found = await stat(file).catch(() => undefined);
  if (found?.isDirectory() === true)
    throw new UsageError(`${option} ${file} is a directory: name a file in it`);
  try {
    // Of a file that is not there yet its directory decides; what is no directory has no entry named ".".
    await access(found === undefined ? `${directory}/.` : file, constants.W_OK);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new UsageError(
      isMissing
        ? `${option} ${file}: there is no directory ${directory}: make it, or name another file`
        : `${option} ${file} cannot be written (${(error as NodeJS.ErrnoException).code ?? "no reason"}): name another file`,
    );
  }
}

async function measure(
  bench: Bench,
  options: Readonly<Record<string, string>>,
  files: { readonly json: string | undefined; readonly plot: string | undefined },
  signal: AbortSignal,
): Promise<number> {
  const needsRoot = bench.needsRoot || options["boards"] === "qemu";
  if (needsRoot && process.getuid?.() !== 0) return asRoot();
  const { figures, table, complaints, plot } = await bench.run({ options, signal, say });
  for (const line of ["", ...tableLines(table)]) say(line);
  if (files.json !== undefined) await writeFile(files.json, `${JSON.stringify(figures, null, 2)}\n`);
  if (files.plot !== undefined && plot !== undefined) await writeFile(files.plot, plot);
  for (const line of complaints) say(`NOT AS PROMISED: ${line}`);
  return complaints.length === 0 ? 0 : 1;
}

await inForeground("bench", usage, async (signal) => await main(process.argv.slice(2), signal));
