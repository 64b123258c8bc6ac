/** What services of the kind `exec` need of their host: programs that root may safely run. Runs none of them. */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { doubtful, type Finding, fine, lacking } from "../../system/finding.ts";
import type { ExecOptions } from "./exec.ts";

const executable = 0o111;
const writableByOthers = 0o022;
const sticky = 0o1000;

export async function execFindings(
  services: readonly Pick<ExecOptions, "name" | "exec">[],
): Promise<Finding[]> {
  return await Promise.all(services.map(programFinding));
}

async function programFinding({ name, exec }: Pick<ExecOptions, "name" | "exec">): Promise<Finding> {
  const where = `services.${name}`;
  const [program = ""] = exec;
  const found = await stat(program).catch(({ code, message }: NodeJS.ErrnoException) =>
    code === "ENOENT" ? `${program} is not there` : message,
  );
  if (typeof found === "string") return lacking(where, "missing-program", found, `install ${program}`);
  if (!found.isFile()) return lacking(where, "missing-program", `${program} is no file`, "name a program");
  if ((found.mode & executable) === 0)
    return lacking(where, "missing-program", `${program} is not executable`, `chmod 755 ${program}`);
  const open = await writableBy(program);
  if (open !== undefined)
    return doubtful(
      where,
      `the daemon runs ${program} as root, and ${open} can be changed by others`,
      `chown root ${open}; chmod go-w ${open}`,
    );
  return fine(where, `${program} can be run`);
}

/** The program or a directory above it in which somebody else than root could put another one. */
async function writableBy(program: string): Promise<string | undefined> {
  for (let at = program; ; at = dirname(at)) {
    const { uid, mode } = await stat(at);
    if (uid !== 0 || ((mode & writableByOthers) !== 0 && (mode & sticky) === 0)) return at;
    if (at === dirname(at)) return undefined;
  }
}
