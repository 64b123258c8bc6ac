/** Finds programs before they are needed, so that what is missing is named with the package that brings it. */
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { TwinboardError } from "../errors.ts";

/** `programs`: name → Debian package. Errors: `missing-program`, naming all that are missing. */
export async function requirePrograms(programs: Readonly<Record<string, string>>): Promise<void> {
  const missing: string[] = [];
  for (const [program, debianPackage] of Object.entries(programs)) {
    if (!(await isInstalled(program))) missing.push(`${program} (Debian package ${debianPackage})`);
  }
  if (missing.length > 0) throw new TwinboardError("missing-program", { detail: missing.join(", ") });
}

/** Whether there is one in the directories of PATH that may be run. Starts none. */
export async function isInstalled(program: string): Promise<boolean> {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    const found = await access(join(directory, program), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}
