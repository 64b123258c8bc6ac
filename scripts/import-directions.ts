/**
 * Imports run downwards only (ARCHITECTURE.md, "Rooms"). Each folder of `src/` lists what it may import from;
 * a driver that knew the story, or a door to the outside that knew a driver, fails here.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";

/** Folder (or file) below src/ → what it may import besides itself; Node's own modules are always allowed. */
const allowed: Record<string, string[]> = {
  "main.ts": ["cli", "daemon.ts", "check.ts"],
  cli: ["api", "upgrade/record.ts", "report", "bundle", "config", "system", "errors.ts"],
  "daemon.ts": ["*"],
  "check.ts": ["*"],
  "fitness.ts": ["*"],
  composition: ["*"],
  api: [
    "errors.ts",
    "upgrade",
    "report",
    "board/board.ts",
    "board/kind.ts",
    "board/depth.ts",
    "service/service.ts",
    "delivery/delivery.ts",
    "system",
  ],
  report: ["upgrade", "board/board.ts", "board/kind.ts", "service/service.ts", "system", "errors.ts"],
  upgrade: [
    "board/board.ts",
    "board/kind.ts",
    "board/depth.ts",
    "service/service.ts",
    "slot",
    "bundle",
    "health",
    "delivery",
    "system",
    "errors.ts",
  ],
  "board/kind.ts": [],
  "board/depth.ts": [],
  "board/board.ts": ["board/kind.ts", "errors.ts", "slot"],
  "service/service.ts": ["board/board.ts", "errors.ts"],
  board: ["board/board.ts", "board/kind.ts", "slot", "system", "errors.ts"],
  service: ["service/service.ts", "board/board.ts", "system", "errors.ts"],
  health: ["board/board.ts", "system", "errors.ts"],
  slot: ["board/kind.ts", "bundle", "system", "errors.ts"],
  delivery: ["bundle", "system", "errors.ts"],
  bundle: ["board/kind.ts", "system", "errors.ts"],
  config: ["board/kind.ts", "board/depth.ts", "system", "errors.ts"],
  "errors.ts": [],
  system: ["errors.ts"],
};

/** One sentence for each import that runs upwards or sideways, and for each file outside the rooms above. */
export function importComplaints(root = "."): string[] {
  const src = resolve(root, "src");
  const complaints: string[] = [];
  for (const file of globSync("**/*.ts", { cwd: src })) {
    if (file.endsWith(".test.ts")) continue;
    const room = allowed[file] === undefined ? (file.split("/")[0] ?? file) : file;
    const doors = allowed[room];
    if (doors === undefined) {
      complaints.push(
        `src/${file}: ${room} is not a room of the house; add it to scripts/import-directions.ts`,
      );
      continue;
    }
    for (const target of importsOf(resolve(src, file))) {
      const path = relative(src, target);
      const [driver, other] = [driverOf(file), driverOf(path)];
      if (driver !== undefined && other !== undefined && driver !== other)
        complaints.push(`src/${file}: ${driver} must not import another driver, src/${path}`);
      const inside = path.split("/")[0] === file.split("/")[0] && allowed[file] === undefined;
      const ok =
        doors.includes("*") || inside || doors.some((door) => path === door || path.startsWith(`${door}/`));
      if (!ok) complaints.push(`src/${file}: ${room} must not import src/${path}`);
    }
  }
  return complaints;
}

/** The driver of boards that a file is a part of, if it is. */
function driverOf(path: string): string | undefined {
  return /^board\/[^/]+(?=\/)/.exec(path)?.[0];
}

/** Absolute paths of the project's own files that a file imports. */
function importsOf(file: string): string[] {
  const imports = readFileSync(file, "utf8").matchAll(/(?:from|import\(|^import)\s*"(\.[^"]+)"/gm);
  return [...imports].map((match) => resolve(dirname(file), match[1] ?? ""));
}

if (import.meta.main) {
  const complaints = importComplaints();
  for (const complaint of complaints) console.error(complaint);
  process.exitCode = complaints.length === 0 ? 0 : 1;
}
