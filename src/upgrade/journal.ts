/**
 * The journal: JSON lines, one file a story, appended and on the disk *before* what they announce is done.
 * Each line carries a checksum over itself and the checksum of the line before it, so that a line which is changed, missing or out of
 * place is noticed. Only an incomplete last line, the mark of a crash while it was written, may be dropped; any other damage is
 * `journal-damaged`.
 */
import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { TwinboardError } from "../errors.ts";
import { appendDurably, syncDirectory } from "../system/files.ts";
import { type JournalRecord, phaseNames, recordEvents, storyKinds } from "./record.ts";

const suffix = ".jsonl";
/** Files of ended stories that are kept. */
const keptStories = 100;
/** A record holds facts, never content: more than this is a defect. */
const maxLineBytes = 256 * 1024;

/** First half of the SHA-256 over the sum of the line before (empty for the first) and this line's own text. */
const sumOf = (previous: string, text: string): string =>
  createHash("sha256").update(previous).update(text).digest("hex").slice(0, 32);

/** One line with its end, and its checksum for the next. */
export function encodeRecord(record: JournalRecord, previousSum: string): { line: string; sum: string } {
  const body = JSON.stringify(record);
  const sum = sumOf(previousSum, body);
  return { line: `${body.slice(0, -1)},"sum":"${sum}"}\n`, sum };
}

/** One line without its end. Returns a sentence of what is wrong, for the caller to say where. */
function decodeRecord(line: string, previousSum: string): { record: JournalRecord; sum: string } | string {
  const mark = line.lastIndexOf(',"sum":"');
  if (mark < 0) return "no checksum";
  const body = `${line.slice(0, mark)}}`;
  const sum = sumOf(previousSum, body);
  if (line.slice(mark) !== `,"sum":"${sum}"}`) return "the checksum does not match";
  const record = JSON.parse(body) as JournalRecord;
  // The checksum holds, so the line is as it was written; these catch a journal of a later version.
  if (record.v !== 1) return `format version ${String(record.v)} is not known here`;
  if (!recordEvents.includes(record.event)) return `unknown event ${record.event}`;
  if (!storyKinds.includes(record.kind)) return `unknown kind ${record.kind}`;
  if (record.phase !== null && !phaseNames.includes(record.phase)) return `unknown phase ${record.phase}`;
  return { record, sum };
}

interface StoryFile {
  readonly records: JournalRecord[];
  /** Bytes of whole lines; what follows them is an incomplete last line. */
  readonly wholeBytes: number;
  readonly lastSum: string;
}

/** Reads one story's file. Errors: `journal-damaged`, naming file and line. */
export function decodeStory(content: Buffer, file: string): StoryFile {
  const wholeBytes = content.lastIndexOf(0x0a) + 1;
  const lines = wholeBytes === 0 ? [] : content.toString("utf8", 0, wholeBytes - 1).split("\n");
  const records: JournalRecord[] = [];
  let lastSum = "";
  for (const [index, line] of lines.entries()) {
    const decoded = decodeRecord(line, lastSum);
    if (typeof decoded === "string") {
      throw new TwinboardError("journal-damaged", { detail: `${file}, line ${index + 1}: ${decoded}` });
    }
    records.push(decoded.record);
    lastSum = decoded.sum;
  }
  return { records, wholeBytes, lastSum };
}

export interface Journal {
  /** Records of every story that is kept, oldest first. */
  readonly records: readonly JournalRecord[];
  /** Appends a record and has it on the disk before it resolves; listeners are called after that. */
  append(record: Omit<JournalRecord, "v" | "seq">): Promise<JournalRecord>;
  subscribe(listener: (record: JournalRecord) => void): () => void;
  close(): Promise<void>;
}

/** Opens the journal of a system, or begins it. Errors: `journal-damaged`, naming file and line. */
export async function openJournal(directory: string): Promise<Journal> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const records: JournalRecord[] = [];
  const sums = new Map<string, string>();
  for (const name of await storyFiles(directory)) {
    const file = join(directory, name);
    const content = await readFile(file);
    const story = decodeStory(content, file);
    if (story.wholeBytes < content.length) await truncateDurably(file, story.wholeBytes);
    records.push(...story.records);
    sums.set(name.slice(0, -suffix.length), story.lastSum);
  }
  // A story that went on after a reboot of the host has records on both sides of the restart's.
  return new FileJournal(
    directory,
    records.toSorted((one, other) => one.seq - other.seq),
    sums,
  );
}

async function storyFiles(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith(suffix)).toSorted();
}

async function truncateDurably(file: string, sizeBytes: number): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.truncate(sizeBytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

interface OpenFile {
  readonly story: string;
  readonly handle: FileHandle;
  wholeBytes: number;
  /** The last append failed, and may have left a part of its line. */
  torn: boolean;
}

class FileJournal implements Journal {
  readonly records: JournalRecord[];
  readonly #directory: string;
  /** Story → checksum of its last line. */
  readonly #sums: Map<string, string>;
  readonly #listeners = new Set<(record: JournalRecord) => void>();
  #open: OpenFile | undefined;
  /** Appends wait for each other: sequence numbers are given in the order in which lines reach the disk. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(directory: string, records: JournalRecord[], sums: Map<string, string>) {
    this.#directory = directory;
    this.records = records;
    this.#sums = sums;
  }

  append(entry: Omit<JournalRecord, "v" | "seq">): Promise<JournalRecord> {
    const appended = this.#last.then(() => this.#append(entry));
    this.#last = appended.catch(() => undefined);
    return appended;
  }

  async #append(entry: Omit<JournalRecord, "v" | "seq">): Promise<JournalRecord> {
    const record: JournalRecord = { v: 1, seq: (this.records.at(-1)?.seq ?? 0) + 1, ...entry };
    const { line, sum } = encodeRecord(record, this.#sums.get(record.story) ?? "");
    const lineBytes = Buffer.byteLength(line);
    if (lineBytes > maxLineBytes)
      throw new TwinboardError("internal", { detail: `a record of ${lineBytes} bytes` });
    const file = await this.#fileOf(record.story);
    // A full disk may have taken half of the line before; no later one may be glued to it.
    if (file.torn) await file.handle.truncate(file.wholeBytes);
    file.torn = true;
    await appendDurably(file.handle, line);
    file.torn = false;
    file.wholeBytes += lineBytes;
    this.#sums.set(record.story, sum);
    this.records.push(record);
    for (const listener of this.#listeners) listener(record);
    return record;
  }

  async #fileOf(story: string): Promise<OpenFile> {
    if (this.#open?.story === story) return this.#open;
    await this.close();
    const handle = await open(join(this.#directory, `${story}${suffix}`), "a", 0o600);
    await syncDirectory(this.#directory);
    this.#open = { story, handle, wholeBytes: (await handle.stat()).size, torn: false };
    await this.#forgetOldStories();
    return this.#open;
  }

  async #forgetOldStories(): Promise<void> {
    const names = await storyFiles(this.#directory);
    for (const name of names.slice(0, Math.max(0, names.length - keptStories))) {
      await rm(join(this.#directory, name), { force: true });
      const story = name.slice(0, -suffix.length);
      this.#sums.delete(story);
      const kept = this.records.filter((record) => record.story !== story);
      this.records.splice(0, this.records.length, ...kept);
    }
  }

  subscribe(listener: (record: JournalRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    await this.#open?.handle.close();
    this.#open = undefined;
  }
}
