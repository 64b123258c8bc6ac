/** Reads a configuration file and names every mistake in it at once, each with its line and column. */
import { open } from "node:fs/promises";
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import type { z } from "zod";
import { TwinboardError } from "../errors.ts";
import { type Config, toConfig } from "./config.ts";
import { contradictions } from "./contradictions.ts";
import { type ConfigDocument, documentSchema } from "./schema.ts";

const maxFileBytes = 256 * 1024;

export interface Mistake {
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** Where in the document: `services[0].port`; empty for the document itself. */
  readonly path: string;
  readonly message: string;
}

type Path = readonly PropertyKey[];

function pathText(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${step}]`;
    return text === "" ? String(step) : `${text}.${String(step)}`;
  }, "");
}

/** Offset of the value at `path`, or of the nearest thing above it that is there; with `ofKey`, of the key itself. */
function offsetOf(root: Node | null, path: Path, ofKey: boolean): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const [depth, step] of path.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
      if (pair === undefined) return offset;
      const key = isScalar(pair.key) ? pair.key.range?.[0] : undefined;
      const last = depth === path.length - 1;
      const value = (pair.value as Node | null)?.range?.[0];
      // A section is best pointed at by its name, a plain value by itself.
      const pointed = (last && ofKey) || !isScalar(pair.value) ? key : (value ?? key);
      offset = pointed ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof step === "number") {
      const item = node.items[step] as Node | undefined;
      if (item === undefined) return offset;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else return offset;
  }
  return offset;
}

function valueAt(document: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[step] : undefined,
    document,
  );
}

function shown(value: unknown): string {
  const text = textOf(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** YAML's aliases can make a value that contains itself. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return "a value that contains itself";
  }
}

const typeWords: Readonly<Record<string, string>> = {
  object: "a mapping",
  record: "a mapping",
  array: "a list",
  string: "text",
  number: "a number",
  int: "a whole number",
};

type At = (path: Path, message: string, ofKey?: boolean) => Mistake;

function mistakesOf(issue: z.core.$ZodIssue, input: unknown, at: At): Mistake[] {
  if (issue.code === "unrecognized_keys") {
    const messages = issue.message.split("\n");
    return issue.keys.map((key, index) => at([...issue.path, key], messages[index] ?? "unknown key", true));
  }
  const value = valueAt(input, issue.path);
  if (value === undefined) return [at(issue.path, "is missing")];
  if (issue.code === "invalid_type" && issue.message.startsWith("Invalid input"))
    return [at(issue.path, `expected ${typeWords[issue.expected] ?? issue.expected}, not ${shown(value)}`)];
  const isShort =
    typeof value !== "object" || (Array.isArray(value) && value.length > 0 && value.every(isPlain));
  const tells = issue.message.startsWith("expected") && isShort;
  return [at(issue.path, tells ? `${issue.message}, not ${shown(value)}` : issue.message)];
}

function isPlain(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}

/** What only a host can contradict, by its key. */
function ofHost({ services = [] }: ConfigDocument): [key: string, path: Path][] {
  const paths: Path[] = [
    ["boards", "user"],
    ...["cores", "emulator"].flatMap((key) => ["a", "b"].map((board) => ["placement", key, board])),
  ];
  return [
    ...paths.map((path): [string, Path] => [pathText(path), path]),
    ...services.map(({ name }, index): [string, Path] => [`services.${name}`, ["services", index]]),
  ];
}

/** Parses the text of a configuration file. `file` is for the paths in it that are relative. Pure. */
export function parseConfig(
  text: string,
  file: string,
): { readonly config: Config } | { readonly mistakes: readonly Mistake[] } {
  const lines = new LineCounter();
  const yaml = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true });
  const mistake = (offset: number, path: string, message: string): Mistake => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col), path, message };
  };
  const broken = [...yaml.errors, ...yaml.warnings];
  if (broken.length > 0)
    return {
      mistakes: broken.map(({ code, pos, message }) =>
        mistake(pos[0], "", code === "MULTIPLE_DOCS" ? "a second document begins: expected one" : message),
      ),
    };

  let input: unknown;
  try {
    input = yaml.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return { mistakes: [{ line: 1, column: 1, path: "", message: (error as Error).message }] };
  }
  const at: At = (path, message, ofKey = false) =>
    mistake(offsetOf(yaml.contents, path, ofKey), pathText(path), message);
  const result = documentSchema.safeParse(input);
  const mistakes = result.success
    ? contradictions(result.data).map(({ path, message }) => at(path, message))
    : result.error.issues.flatMap((issue) => mistakesOf(issue, input, at));
  if (mistakes.length > 0 || !result.success)
    return { mistakes: mistakes.toSorted((one, two) => one.line - two.line || one.column - two.column) };
  const positions = ofHost(result.data).map(([key, path]) => {
    const { line, column } = at(path, "");
    return [key, `${line}:${column}`] as const;
  });
  return { config: toConfig(result.data, file, Object.fromEntries(positions)) };
}

/** `FILE:LINE:COLUMN: path: message`, as compilers write it and editors read it. */
export function mistakeText(file: string, { line, column, path, message }: Mistake): string {
  return `${file}:${line}:${column}: ${path === "" ? "" : `${path}: `}${message}`;
}

/** Not by the file's size, which a pipe or a device does not tell. */
async function readBounded(path: string): Promise<string> {
  const file = await open(path);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of file.createReadStream() as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxFileBytes)
      throw new TwinboardError("config-invalid", { detail: `${path}: larger than ${maxFileBytes} bytes` });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Reads a configuration file. Errors: `config-invalid`, with every mistake on a line of its own. */
export async function loadConfig(file: string): Promise<Config> {
  let text: string;
  try {
    text = await readBounded(file);
  } catch (error) {
    if (error instanceof TwinboardError) throw error;
    const reason =
      (error as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : (error as Error).message;
    throw new TwinboardError("config-invalid", { detail: `${file}: ${reason}`, cause: error });
  }
  const result = parseConfig(text, file);
  if ("config" in result) return result.config;
  const listed = result.mistakes.map((mistake) => mistakeText(file, mistake));
  const count = listed.length === 1 ? "1 mistake" : `${listed.length} mistakes`;
  throw new TwinboardError("config-invalid", { detail: `${count}\n${listed.join("\n")}` });
}
