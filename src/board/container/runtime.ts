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
const timeoutMs = 20_000;
const mostWords = 200;

/** `auto`: crun if it works, then runc. Errors: `missing-program` (none is there, or it is too old, or broken); the signal's reason. */
export async function chooseRuntime(wanted: "auto" | RuntimeName, signal?: AbortSignal): Promise<Runtime> {
  const tried: string[] = [];
  const names = wanted === "auto" ? runtimeNames : [wanted];
  for (const name of names) {
    const text = await versionText(name, signal);
    if (text === undefined) {
      tried.push(`${name} is not there`);
      continue;
    }
    const version = /\bversion (\d+\.\d+(?:\.\d+)?)/.exec(text)?.[1];
    if (version !== undefined && isAtLeast(version, oldest[name])) return { name, version };
    tried.push(
      version === undefined
        ? `${name} does not tell its version: ${JSON.stringify(text.trim().slice(0, mostWords))}`
        : `${name} ${version} is too old`,
    );
  }
  const enough = names.map((name) => `${name} ${oldest[name].join(".")} or later (Debian package ${name})`);
  throw new TwinboardError("missing-program", {
    detail: tried.join(", "),
    remedy: `install ${enough.join(", or ")}`,
  });
}

/** `undefined` if there is no such program; of one that fails, what is known of that. */
async function versionText(name: RuntimeName, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    const { stdout } = await run(name, ["--version"], {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    return stdout.toString();
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof TwinboardError)) throw error;
    if (error.code === "missing-program") return undefined;
    return error.detail ?? error.message;
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
