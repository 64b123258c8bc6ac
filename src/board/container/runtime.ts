/** The OCI runtime that runs containers: which one, and whether it is new enough. */
import { TwinboardError } from "../../errors.ts";
import { run } from "../../system/process.ts";

export const runtimeNames = ["crun", "runc"] as const;
export type RuntimeName = (typeof runtimeNames)[number];

export interface Runtime {
  readonly name: RuntimeName;
  readonly version: string;
}

/** Of each the oldest that was tried: those of Debian 12. */
const oldest: Readonly<Record<RuntimeName, readonly [number, number, number]>> = {
  crun: [1, 8, 1],
  runc: [1, 1, 5],
};
const timeoutMs = 5000;

/** `auto`: crun if it is there, then runc. Errors: `missing-program` (none is there, or it is too old), `command-failed`, `deadline-passed`. */
export async function chooseRuntime(wanted: "auto" | RuntimeName, signal?: AbortSignal): Promise<Runtime> {
  const tried: string[] = [];
  for (const name of wanted === "auto" ? runtimeNames : [wanted]) {
    const text = await versionText(name, signal);
    if (text === undefined) {
      tried.push(`${name} (Debian package ${name}) is not there`);
      continue;
    }
    const version = /\bversion (\d+\.\d+(?:\.\d+)?)/.exec(text)?.[1] ?? "";
    if (isAtLeast(version, oldest[name])) return { name, version };
    tried.push(`${name} ${version} is older than ${oldest[name].join(".")}`);
  }
  throw new TwinboardError("missing-program", { detail: tried.join(", ") });
}

async function versionText(name: RuntimeName, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    const { stdout } = await run(name, ["--version"], {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    return stdout.toString();
  } catch (error) {
    if (error instanceof TwinboardError && error.code === "missing-program") return undefined;
    throw error;
  }
}

/** Two versions by their numbers, left to right; what is left out is 0. */
export function isAtLeast(version: string, least: readonly number[]): boolean {
  const numbers = version.split(".").map(Number);
  for (const [index, wanted] of least.entries()) {
    const number = numbers[index] ?? 0;
    if (number !== wanted) return number > wanted;
  }
  return version !== "";
}
