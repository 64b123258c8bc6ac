/** The rules of the house (CONTRIBUTING.md), held against every file of the project. */
import assert from "node:assert/strict";
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { importComplaints } from "../scripts/import-directions.ts";
import { errorTable } from "../src/errors.ts";

const outside = new Set(["node_modules", ".git", ".cache", "dist"]);
const exclude = (name: string): boolean => outside.has(name);
const all = globSync("{*,.*/**,*/**}", { exclude }).filter((path) => statSync(path).isFile());
const programs = all.filter((path) => path.endsWith(".ts"));
const documents = all.filter((path) => path.endsWith(".md"));
const read = (path: string): string => readFileSync(path, "utf8");

const longestFileLines = 350;
/** Files that are longer, and why they stay in one piece. */
const longFiles: Readonly<Record<string, string>> = {};

const largestFileBytes = 200_000;

/** Codes that nothing throws yet, and what they wait for. */
const codesNotThrown: Readonly<Record<string, string>> = {};

interface Package {
  readonly license?: string;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}
const packageOf = (path: string): Package => JSON.parse(read(path)) as Package;

test("imports run downwards only", () => {
  assert.deepEqual(importComplaints(), []);
});

test("an import that runs upwards, and a file outside the rooms, are found", (t) => {
  const root = mkdtempSync(join(tmpdir(), "house-"));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [path, content] of [
    ["src/upgrade/story.ts", 'import { start } from "../board/qemu/start.ts";'],
    ["src/system/files.ts", 'import "../upgrade/story.ts";'],
    ["src/helpers/all.ts", ""],
    ["src/board/container/start.ts", 'import { start } from "../qemu/start.ts";'],
  ] as const) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  assert.deepEqual(importComplaints(root).toSorted(), [
    "src/board/container/start.ts: board/container must not import another driver, src/board/qemu/start.ts",
    "src/helpers/all.ts: helpers is not a room of the house; add it to scripts/import-directions.ts",
    "src/system/files.ts: system must not import src/upgrade/story.ts",
    "src/upgrade/story.ts: upgrade must not import src/board/qemu/start.ts",
  ]);
});

test("nothing is exported as default", () => {
  const pattern = /^export default\b|^export \{[^}]*\bas default\b/m;
  assert.deepEqual(
    programs.filter((path) => pattern.test(read(path))),
    [],
  );
});

test(`a file has at most ${longestFileLines} lines, or a reason`, () => {
  const long = programs.filter((path) => read(path).split("\n").length - 1 > longestFileLines);
  assert.deepEqual(long.toSorted(), Object.keys(longFiles).toSorted());
});

test(`no file is larger than ${largestFileBytes} bytes`, () => {
  assert.deepEqual(
    all.filter((path) => statSync(path).size > largestFileBytes),
    [],
  );
});

test("every code of the table is used by the program, or waits for something that is named", () => {
  const program = programs
    .filter((path) => path.startsWith("src/") && path !== "src/errors.ts" && !path.endsWith(".test.ts"))
    .map(read)
    .join("\n");
  const unused = Object.keys(errorTable).filter((code) => !program.includes(`"${code}"`));
  assert.deepEqual(unused, Object.keys(codesNotThrown));
});

test("what a document tells to run is there", () => {
  const { scripts } = packageOf("package.json");
  const missing = documents.flatMap((path) =>
    [...read(path).matchAll(/npm run ([a-z-]+)(?: -- ([a-z][a-z0-9-]*))?/g)]
      .filter(([, script = "", name]) => {
        if (script === "bench" && name !== undefined) return !existsSync(`bench/${name}.ts`);
        return scripts[script] === undefined;
      })
      .map(([command]) => `${path}: ${command}`),
  );
  assert.deepEqual(missing, []);
});

test("what a document links to is there", () => {
  const missing = documents.flatMap((path) =>
    [...read(path).matchAll(/(?:\]\(|src="|srcset=")([^)"#:\s]+)(?:#[^)"\s]*)?[)"]/g)]
      .filter(([, target = ""]) => !existsSync(join(dirname(path), target)))
      .map(([link]) => `${path}: ${link}`),
  );
  assert.deepEqual(missing, []);
});

test("the document that a comment or a document names is there", () => {
  const missing = all
    .filter((path) => /\.(ts|md|sh)$|^kit\/|^scripts\//.test(path))
    .flatMap((path) =>
      [...read(path).matchAll(/(?<![\w/.-])(?:[a-z]+\/)?[A-Za-z-]+\.md\b/g)]
        .filter(([name]) => !existsSync(name) && !existsSync(join(dirname(path), name)))
        .map(([name]) => `${path}: ${name}`),
    );
  assert.deepEqual(missing, []);
});

test("docs/dependencies.md has each runtime dependency with its licence", () => {
  const { dependencies, optionalDependencies } = packageOf("package.json");
  const expected = Object.keys({ ...dependencies, ...optionalDependencies }).map((name) => {
    // Of the packages that carry Node only the one of this processor is installed.
    const file = `node_modules/${name}/package.json`;
    return `${name} ${existsSync(file) ? packageOf(file).license : "MIT"}`;
  });
  const rows = [...read("docs/dependencies.md").matchAll(/^\| `([^`]+)` \| ([^|]+?) \| (.+) \|$/gm)];
  assert.deepEqual(rows.map(([, name, licence]) => `${name} ${licence}`).toSorted(), expected.toSorted());
});
