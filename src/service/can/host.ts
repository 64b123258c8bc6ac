/** What CAN services need of their host: the bus, the kernel's CAN gateway and pairs of CAN cards, tried elsewhere. Changes nothing but what the kernel loads by itself. */
import { doubtful, type Finding, fine, lacking, unseen } from "../../system/finding.ts";
import { cardState } from "../../system/ip.ts";
import { type RunResult, run } from "../../system/process.ts";
import type { CanOptions } from "./can.ts";
import { parseRules } from "./rules.ts";

const probeTimeoutMs = 20_000;
const debianPackage = "can-utils";

/** Nothing where there is no such service. */
export async function canFindings(
  services: readonly Pick<CanOptions, "name" | "bus">[],
  signal: AbortSignal,
): Promise<Finding[]> {
  if (services.length === 0) return [];
  return [await kernelFinding(signal), ...(await Promise.all(services.map(busFinding)))];
}

/** In a network namespace that ends with the command. */
async function kernelFinding(signal: AbortSignal): Promise<Finding> {
  const where = "CAN";
  if (process.geteuid?.() !== 0)
    return unseen(where, "no pair of CAN cards was made as a trial", "run this as root");
  const pair = await elsewhere(
    ["ip", "link", "add", "probe", "type", "vxcan", "peer", "name", "probe2"],
    signal,
  );
  if (pair.exitCode !== 0)
    return lacking(
      where,
      "missing-kernel-feature",
      `pairs of CAN cards (CONFIG_CAN_VXCAN): ${firstLine(pair)}`,
      "modprobe vxcan",
    );
  const listed = await elsewhere(["cangw", "-L"], signal);
  if (listed.exitCode === 127)
    return lacking(
      where,
      "missing-program",
      `cangw (Debian package ${debianPackage})`,
      `apt-get install ${debianPackage}`,
    );
  if (parseRules(listed.stdout.toString()) === undefined)
    return lacking(where, "missing-kernel-feature", "the CAN gateway (CONFIG_CAN_GW)", "modprobe can-gw");
  if (listed.exitCode !== 0)
    return unseen(
      where,
      `rules were not listed: ${firstLine(listed)}`,
      `see that cangw of ${debianPackage} runs`,
    );
  return fine(
    where,
    "a pair of CAN cards was made, elsewhere, as a trial, and the kernel has the CAN gateway",
  );
}

async function elsewhere(command: readonly string[], signal: AbortSignal): Promise<RunResult> {
  const allowedExitCodes = Array.from({ length: 255 }, (_, index) => index + 1);
  return await run("unshare", ["-n", ...command], { signal, timeoutMs: probeTimeoutMs, allowedExitCodes });
}

function firstLine({ stderr, stdout }: RunResult): string {
  const text = stderr.trim() === "" ? stdout.toString() : stderr;
  return text.trim().split("\n")[0]?.slice(0, 300) ?? "";
}

/** The bus may be plugged in later: that is a trouble then, and no error. */
async function busFinding({ name, bus }: Pick<CanOptions, "name" | "bus">): Promise<Finding> {
  const where = `services.${name}`;
  const state = await cardState(bus);
  if (state === undefined)
    return doubtful(
      where,
      `${bus} is not there: the service waits for it`,
      "see ip -details link show type can",
    );
  if (state === "down")
    return doubtful(
      where,
      `${bus} is down`,
      `ip link set ${bus} up type can bitrate 500000, or what its bus has`,
    );
  return fine(where, `${bus} is up`);
}
