/** `twinboard history` */
import { writeFile } from "node:fs/promises";
import { type Command, Option } from "@commander-js/extra-typings";
import type { Report, StorySummary } from "../api/report-schemas.ts";
import { TwinboardError } from "../errors.ts";
import { findSocket, type SocketOptions, socketOption, systemOption } from "./socket.ts";
import { printJson, verb } from "./verb.ts";

const mostStories = 100;

const help = `
ID is a story's id, its number, or "last" for the newest.
  twinboard history last --html upgrade.html`;

interface HistoryOptions extends SocketOptions {
  readonly json?: true | undefined;
  readonly limit: string;
  readonly html?: string | undefined;
  readonly config?: string | undefined;
}

/** Where stories are told from: a daemon, or the files that it left. */
interface History {
  stories(limit: number): Promise<readonly StorySummary[]>;
  /** Errors: `not-found`. */
  report(id: string): Promise<Report>;
  page(id: string): Promise<string>;
}

export function addHistory(program: Command): void {
  program
    .command("history")
    .argument("[id]", 'the story whose report is wanted; "last": the newest')
    .summary("every story, and the report of one")
    .description("Lists the stories of a system, newest first, or tells one of them in full.")
    .option("--json", "print one JSON object: the list, or the report (docs/report.md)")
    .option("--limit <n>", "list so many at most", "20")
    .option("--html <file>", "write the report as one HTML file, in place of what is there; - is stdout")
    .addOption(
      new Option(
        "--config <file>",
        "read the reports in the state directory of this configuration; needs no daemon",
      ).conflicts(["socket", "system"]),
    )
    .addOption(socketOption())
    .addOption(systemOption())
    .addHelpText("after", help)
    .action(async (id, options) => {
      await verb(options.json === true, async () => await history(id, options));
    });
}

async function history(id: string | undefined, options: HistoryOptions): Promise<number> {
  const limit = limitOf(options);
  const from = options.config === undefined ? await ofDaemon(options) : await ofFiles(options.config);
  if (id === undefined) {
    if (options.html !== undefined)
      throw new TwinboardError("usage", { detail: "--html needs the id of a story, or last" });
    const stories = await from.stories(limit);
    if (options.json === true) printJson({ stories });
    else print((await import("./history-text.ts")).listLines(stories));
    return 0;
  }
  const found = await findId(from, id);
  if (options.html !== undefined) await writePage(options.html, await from.page(found));
  if (options.json === true) printJson(await from.report(found));
  else if (options.html === undefined)
    print((await import("./history-text.ts")).reportLines(await from.report(found)));
  return 0;
}

function limitOf({ limit }: HistoryOptions): number {
  if (/^[1-9]\d{0,5}$/.test(limit)) return Math.min(mostStories, Number(limit));
  throw new TwinboardError("usage", {
    detail: `--limit ${limit}: expected a number from 1 to ${mostStories}`,
  });
}

/** Errors: `not-found`, for "last" or a number that no story has. */
async function findId(from: History, id: string): Promise<string> {
  if (id !== "last" && !/^\d{1,15}$/.test(id)) return id;
  const stories = await from.stories(id === "last" ? 1 : mostStories);
  const story =
    id === "last" ? stories[0] : stories.find((one) => Number.parseInt(one.id, 10) === Number(id));
  if (story !== undefined) return story.id;
  throw new TwinboardError("not-found", { detail: id === "last" ? "no story is kept" : unknown(id) });
}

const unknown = (id: string): string => `story ${id}; twinboard history lists those that are kept`;

async function ofDaemon(options: SocketOptions): Promise<History> {
  const { Client } = await import("./client.ts");
  const client = new Client(await findSocket(options));
  return {
    stories: async (limit) => (await client.stories(limit)).stories,
    report: async (id) => await client.report(id),
    page: async (id) => await client.reportPage(id),
  };
}

/** Errors: those of the configuration. */
async function ofFiles(config: string): Promise<History> {
  const { loadConfig } = await import("../config/load.ts");
  const { ReportFiles } = await import("../report/files.ts");
  const { stateDirectory } = await loadConfig(config);
  const files = ReportFiles.of(stateDirectory);
  const report = async (id: string): Promise<Report> => {
    const found = await files.read(id);
    if (found === undefined) throw new TwinboardError("not-found", { detail: unknown(id) });
    return found;
  };
  return {
    stories: async (limit) => await files.summaries(limit),
    report,
    page: async (id) => (await import("../report/page.ts")).renderReport(await report(id)),
  };
}

async function writePage(file: string, page: string): Promise<void> {
  if (file === "-") {
    process.stdout.write(page);
    return;
  }
  try {
    await writeFile(file, page);
  } catch (cause) {
    throw new TwinboardError("usage", { detail: `--html ${file}: ${(cause as Error).message}`, cause });
  }
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}
