/**
 * Finds out whether KVM runs guests here. A /dev/kvm that opens, and even makes a machine, may still not: some hosts' nested KVM
 * leaves a guest silent for ever. So a guest of a few bytes has to answer, and only its answer is believed.
 */
import { access, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { TwinboardError } from "../../errors.ts";
import { readFileIfThere, writeFileAtomically } from "../../system/files.ts";
import { bootId } from "../../system/host.ts";
import { run } from "../../system/process.ts";
import { type Accelerator, type Architecture, hostArchitecture } from "./architecture.ts";
import { machineArguments } from "./command-line.ts";

export interface AcceleratorFinding {
  readonly accelerator: Accelerator;
  /** Why it is this one, for people. */
  readonly reason: string;
}

const answerTimeoutMs = 2500;
/**
 * `kvm` if a test guest ran under KVM within 2.5 s, else `tcg`. With `cachePath` the finding is kept there until the host boots again.
 * Errors: `missing-program` (QEMU itself); the signal's reason.
 */
export async function detectAccelerator(
  architecture: Architecture,
  signal: AbortSignal,
  cachePath?: string,
): Promise<AcceleratorFinding> {
  const boot = await bootId();
  if (cachePath !== undefined) {
    const kept = parseFinding(await readFileIfThere(cachePath), boot);
    if (kept !== undefined) return kept;
  }
  const refusal = await refusalOfGuest(architecture, "kvm", signal);
  const finding: AcceleratorFinding =
    refusal === undefined
      ? { accelerator: "kvm", reason: "a test guest ran under KVM" }
      : { accelerator: "tcg", reason: refusal };
  if (cachePath !== undefined) {
    await mkdir(dirname(cachePath), { recursive: true });
    await writeFileAtomically(cachePath, `${JSON.stringify({ boot, ...finding })}\n`, 0o644);
  }
  return finding;
}

/** What the configuration's `accelerator` comes to on this host. Errors: `no-kvm`, with the reason; those of `detectAccelerator`. */
export async function chooseAccelerator(
  architecture: Architecture,
  wanted: "auto" | Accelerator,
  signal: AbortSignal,
  cachePath?: string,
): Promise<AcceleratorFinding> {
  if (wanted === "tcg") return { accelerator: "tcg", reason: "the configuration says so" };
  const host = hostArchitecture() ?? process.arch;
  if (host !== architecture.name) {
    const reason = `this host's processor is ${host}, the boards' is ${architecture.name}`;
    if (wanted === "kvm") throw new TwinboardError("no-kvm", { detail: reason });
    return { accelerator: "tcg", reason };
  }
  const found = await detectAccelerator(architecture, signal, cachePath);
  if (wanted === "kvm" && found.accelerator !== "kvm")
    throw new TwinboardError("no-kvm", { detail: found.reason });
  return found;
}

/** Why a guest did not run under this accelerator; `undefined` if it did. Errors: `missing-program`; the signal's reason. */
export async function refusalOfGuest(
  architecture: Architecture,
  accelerator: Accelerator,
  signal: AbortSignal,
): Promise<string | undefined> {
  const device = await access("/dev/kvm").catch((error: unknown) => error);
  if (accelerator === "kvm" && device !== undefined) return "/dev/kvm is missing";
  const directory = await mkdtemp(join(tmpdir(), "twinboard-probe-"));
  try {
    const firmware = join(directory, "firmware");
    const { testGuest, program } = architecture;
    await writeFile(firmware, testGuest.firmware());
    const { exitCode, stderr } = await run(program, probeArguments(architecture, accelerator, firmware), {
      signal,
      timeoutMs: answerTimeoutMs,
      allowedExitCodes: [testGuest.exitCode, 1],
    });
    if (exitCode === testGuest.exitCode) return undefined;
    return complaint(architecture, stderr) ?? `QEMU ended with exit code ${exitCode}`;
  } catch (error) {
    if (!(error instanceof TwinboardError) || error.code === "missing-program") throw error;
    return error.code === "deadline-passed"
      ? `a test guest gave no answer within ${answerTimeoutMs} ms`
      : (complaint(architecture, error.message) ?? error.message);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The first line that QEMU itself wrote. */
function complaint({ program }: Architecture, text: string): string | undefined {
  return new RegExp(`^.*${program}: (?:error: )?(.{1,300})`, "m").exec(text)?.[1];
}

function probeArguments(architecture: Architecture, accelerator: Accelerator, firmware: string): string[] {
  return [
    ["-nodefaults", "-no-user-config", "-display", "none"],
    // The machine and processor of a board: what these refuse, a board would be refused too.
    ...machineArguments(architecture, accelerator),
    ["-m", "16M", "-bios", firmware],
    ...architecture.testGuest.arguments,
  ].flat();
}

function parseFinding(text: string | undefined, boot: string): AcceleratorFinding | undefined {
  if (text === undefined) return undefined;
  try {
    const kept = JSON.parse(text) as Partial<AcceleratorFinding & { boot: string }>;
    const { accelerator, reason } = kept;
    if (kept.boot !== boot || typeof reason !== "string") return undefined;
    return accelerator === "kvm" || accelerator === "tcg" ? { accelerator, reason } : undefined;
  } catch {
    // A damaged cache is no finding.
    return undefined;
  }
}
