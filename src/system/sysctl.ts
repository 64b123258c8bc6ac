/** The door to the kernel's settings of this network namespace (sysctl(8)), by path below /proc/sys: `net/ipv4/conf/up0/forwarding`. */
import { readFile, writeFile } from "node:fs/promises";
import { TwinboardError } from "../errors.ts";
import { readFileIfThere } from "./files.ts";

/** The setting as the kernel prints it, without the newline. Errors: `command-failed` (no such setting). */
export async function readSetting(path: string): Promise<string> {
  try {
    return (await readFile(file(path), "utf8")).trimEnd();
  } catch (error) {
    throw refused(path, "read", error);
  }
}

/** Whether this kernel, and this card, has the setting. */
export async function hasSetting(path: string): Promise<boolean> {
  return (await readFileIfThere(file(path))) !== undefined;
}

/** Errors: `command-failed` (no such setting, or the kernel refuses the value). */
export async function writeSetting(path: string, value: string): Promise<void> {
  try {
    await writeFile(file(path), `${value}\n`);
  } catch (error) {
    throw refused(path, `set to "${value}"`, error);
  }
}

function file(path: string): string {
  // A card's name may hold dots but never a slash; nothing may lead out of /proc/sys.
  if (
    !path.startsWith("net/") ||
    path.split("/").some((part) => part === "" || part === "." || part === "..")
  )
    throw new TwinboardError("internal", { detail: `not a setting of a network namespace: ${path}` });
  return `/proc/sys/${path}`;
}

function refused(path: string, what: string, error: unknown): TwinboardError {
  const reason = error instanceof Error ? error.message : String(error);
  return new TwinboardError("command-failed", {
    detail: `/proc/sys/${path} was not ${what}: ${reason}`,
    cause: error,
  });
}
