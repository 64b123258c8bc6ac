/**
 * Imports run downwards only (DESIGN.md, "The house"). Each folder of `src/` lists what it may import from;
 * a driver that knew the story, or a door to the outside that knew a driver, fails here.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";

/** Folder (or file) below src/ → what it may import besides itself; Node's own modules are always allowed. */
const allowed: Record<string, string[]> = {
  "main.ts": ["cli", "system"],
  cli: ["api", "bundle", "config", "system", "errors.ts"],
  "daemon.ts": ["*"],
  api: ["errors.ts", "upgrade", "board/board.ts", "service/service.ts", "slot", "system", "config"],
  upgrade: [
    "board/board.ts",
    "service/service.ts",
    "slot",
    "bundle",
    "health",
    "delivery",
    "system",
    "errors.ts",
  ],
  "board/board.ts": ["errors.ts", "slot"],
  "service/service.ts": ["board/board.ts", "errors.ts"],
  board: ["board/board.ts", "slot", "system", "errors.ts"],
  service: ["service/service.ts", "board/board.ts", "system", "errors.ts"],
  health: ["board/board.ts", "system", "errors.ts"],
  slot: ["bundle", "system", "errors.ts"],
  delivery: ["bundle", "system", "errors.ts"],
  bundle: ["system", "errors.ts"],
  config: ["system", "errors.ts"],
  "errors.ts": [],
  system: ["errors.ts"],
};

const src = resolve("src");
const complaints: string[] = [];

for (const file of globSync("src/**/*.ts")) {
  const from = relative(src, resolve(file));
  if (from.endsWith(".test.ts")) continue;
  const room = allowed[from] === undefined ? (from.split("/")[0] ?? from) : from;
  const doors = allowed[room];
  if (doors === undefined) {
    complaints.push(`${file}: ${room} is not a room of the house; add it to scripts/import-directions.ts`);
    continue;
  }
  for (const match of readFileSync(file, "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)) {
    const target = relative(src, resolve(dirname(file), match[1] ?? ""));
    const inside = target.split("/")[0] === from.split("/")[0] && allowed[from] === undefined;
    const ok =
      doors.includes("*") || inside || doors.some((door) => target === door || target.startsWith(`${door}/`));
    if (!ok) complaints.push(`${file}: ${room} must not import src/${target}`);
  }
}
for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length === 0 ? 0 : 1;
