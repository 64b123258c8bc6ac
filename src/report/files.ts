/** Reports on the disk: `ID.json` and `ID.html` for each story, the newest within a bound. */
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { readFileIfThere, writeFileAtomically } from "../system/files.ts";
import { type Report, type StorySummary, summaryOf } from "../upgrade/report.ts";

/** As many stories as the journal keeps. */
const keptReports = 100;
const keptBytes = 32 * 1024 * 1024;
const kinds = [".json", ".html"] as const;

/** One that an earlier version wrote tells of no lacks. */
type WrittenReport = Omit<Report, "lacks"> & Partial<Pick<Report, "lacks">>;

/** Newest last: an id begins with the number of its story. */
export const byId = (one: string, other: string): number => one.localeCompare(other, "en", { numeric: true });

export class ReportFiles {
  readonly #directory: string;

  /** Those of the system with this state directory. */
  static of(stateDirectory: string): ReportFiles {
    return new ReportFiles(join(stateDirectory, "reports"));
  }

  /** @param directory made when the first report is kept. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Ids of the stories of which both files are there, newest last. */
  async ids(): Promise<string[]> {
    const names = new Set(await this.#names());
    const whole = [...names].filter((name) => name.endsWith(".json") && names.has(htmlOf(name)));
    return whole.map((name) => name.slice(0, -".json".length)).toSorted(byId);
  }

  /** `undefined`: there is none of this story. */
  async read(id: string): Promise<Report | undefined> {
    if (!(await this.ids()).includes(id)) return undefined;
    const text = await readFileIfThere(join(this.#directory, `${id}.json`));
    if (text === undefined) return undefined;
    const { lacks = [], ...report } = JSON.parse(text) as WrittenReport;
    return { ...report, lacks };
  }

  /** The newest `limit`, newest first. */
  async summaries(limit: number): Promise<StorySummary[]> {
    const ids = (await this.ids()).toReversed().slice(0, limit);
    const reports = await Promise.all(ids.map(async (id) => await this.read(id)));
    return reports.filter((report) => report !== undefined).map(summaryOf);
  }

  /** Writes both files, each as one step, and removes what is beyond the bound. Repeatable. Errors: those of the disk. */
  async keep(report: Report): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    // Brought in when the first report is written: a daemon at rest does not hold it.
    const { renderReport } = await import("./page.ts");
    const path = join(this.#directory, report.id);
    await writeFileAtomically(`${path}.html`, renderReport(report));
    await writeFileAtomically(`${path}.json`, `${JSON.stringify(report)}\n`);
    await this.#forgetOld();
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.#directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  async #forgetOld(): Promise<void> {
    let bytes = 0;
    for (const [age, id] of (await this.ids()).toReversed().entries()) {
      const paths = kinds.map((kind) => join(this.#directory, `${id}${kind}`));
      for (const path of paths) bytes += (await stat(path)).size;
      // The newest stays, however large.
      if (age === 0 || (age < keptReports && bytes <= keptBytes)) continue;
      for (const path of paths) await rm(path, { force: true });
    }
  }
}

function htmlOf(name: string): string {
  return `${name.slice(0, -".json".length)}.html`;
}
