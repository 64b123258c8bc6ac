/** What boards that are QEMU machines need of their host: KVM or emulation, a tap. Changes nothing. */
import { access } from "node:fs/promises";
import { TwinboardError } from "../../errors.ts";
import { doubtful, type Finding, fine, lacking, unseen } from "../../system/finding.ts";
import { run } from "../../system/process.ts";
import { chooseAccelerator } from "./accelerator.ts";
import { type Accelerator, type Architecture } from "./architecture.ts";

/** `cachePath`: where what is found about KVM is kept until the host boots again; nowhere if it is left out. */
export async function machineFindings(
  architecture: Architecture,
  accelerator: "auto" | Accelerator,
  signal: AbortSignal,
  cachePath?: string,
): Promise<Finding[]> {
  return [await acceleratorFinding(architecture, accelerator, signal, cachePath), await tapFinding(signal)];
}

async function acceleratorFinding(
  architecture: Architecture,
  wanted: "auto" | Accelerator,
  signal: AbortSignal,
  cachePath: string | undefined,
): Promise<Finding> {
  const where = "boards.accelerator";
  try {
    const { accelerator, reason } = await chooseAccelerator(architecture, wanted, signal, cachePath);
    if (accelerator === "kvm" || wanted === "tcg") return fine(where, `${accelerator}: ${reason}`);
    if (process.geteuid?.() !== 0)
      return unseen(where, `as this user, ${accelerator}: ${reason}`, "run this as root");
    return doubtful(
      where,
      `boards are emulated, which is many times slower: ${reason}`,
      "mend KVM (/dev/kvm, the firmware's virtualization), or say accelerator: tcg if this is meant",
    );
  } catch (cause) {
    if (!(cause instanceof TwinboardError)) throw cause;
    if (cause.code === "no-kvm" && process.geteuid?.() === 0)
      return lacking(where, "no-kvm", cause.detail ?? "");
    return unseen(where, `no test guest was run: ${cause.message}`, `see that ${architecture.program} runs`);
  }
}

/** Makes a tap in a network namespace that ends with the command. */
async function tapFinding(signal: AbortSignal): Promise<Finding> {
  const where = "/dev/net/tun";
  const missing = await access(where).catch((error: unknown) => error);
  if (missing !== undefined)
    return lacking(where, "missing-kernel-feature", `${where} is not there (CONFIG_TUN)`, "modprobe tun");
  if (process.geteuid?.() !== 0)
    return unseen(where, "whether cards can be made was not tried", "run this as root");
  try {
    await run("unshare", ["-n", "ip", "tuntap", "add", "dev", "probe", "mode", "tap"], { signal });
    return fine(where, "cards for boards can be made");
  } catch (cause) {
    return lacking(
      where,
      "missing-kernel-feature",
      `no tap can be made: ${(cause as Error).message}`,
      "modprobe tun",
    );
  }
}
