/** Users and groups of this host, from wherever it keeps them (getent(1)). */
import { run } from "./process.ts";

/** getent(1): one or more of the keys could not be found. */
const notFoundExitCode = 2;

async function entry(database: "passwd" | "group", name: string): Promise<string[] | undefined> {
  const { stdout, exitCode } = await run("getent", [database, name], {
    allowedExitCodes: [notFoundExitCode],
  });
  return exitCode === 0 ? stdout.toString().trim().split(":") : undefined;
}

/** passwd(5). `undefined`: no such user. Errors: `missing-program`, `command-failed`. */
export async function findUser(
  name: string,
): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  const fields = await entry("passwd", name);
  return fields === undefined ? undefined : { uid: Number(fields[2]), gid: Number(fields[3]) };
}

/** group(5). `undefined`: no such group. Errors: `missing-program`, `command-failed`. */
export async function findGroup(name: string): Promise<{ readonly gid: number } | undefined> {
  const fields = await entry("group", name);
  return fields === undefined ? undefined : { gid: Number(fields[2]) };
}
