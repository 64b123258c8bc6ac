/**
 * What every wiring needs of its host: rules of its kinds really loaded, in a network namespace that ends with the command that loads them;
 * IPv6 for the host-only cards; no other rules in the way. Changes nothing but what the kernel loads by itself: modules.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boardNames } from "../../board/board.ts";
import { doubtful, type Finding, fine, lacking, unseen } from "../../system/finding.ts";
import type { SystemNames } from "../../system/names.ts";
import { type RunResult, run } from "../../system/process.ts";
import { absent, tablesFile } from "./register.ts";
import type { WiringTable } from "./wiring.ts";

const probeTimeoutMs = 20_000;

/** Something of the kernel's that rules need, with a chain that needs nothing else. */
export interface Feature {
  readonly name: string;
  /** Of the kernel's configuration, without CONFIG_. */
  readonly option: string;
  /** Of nftables' families; `inet` if it is left out. */
  readonly family?: string;
  readonly chain: string;
}

/**
 * Loads the tables that the daemon would load. If they are refused as a whole, one feature after the other is asked for, to name what is
 * missing.
 */
export async function trialFinding(
  names: SystemNames,
  tables: readonly WiringTable[],
  { features, modules }: { readonly features: readonly Feature[]; readonly modules: string },
  signal: AbortSignal,
): Promise<Finding> {
  const where = "nftables";
  const whole = await loadElsewhere(tablesFile(names, tables, absent, []), signal);
  if (whole === "loaded")
    return fine(where, "the rules that switch the service were loaded, elsewhere, as a trial");
  if (whole.kind === "untried")
    return unseen(where, `no rules were loaded as a trial: ${whole.reason}`, "run this as root");
  const missing: string[] = [];
  for (const { name, option, family = "inet", chain } of features) {
    const alone = await loadElsewhere(`table ${family} probe { chain probe { ${chain} }; }`, signal);
    if (alone !== "loaded") missing.push(`${name} (CONFIG_${option})`);
  }
  const what = missing.length === 0 ? whole.reason : `${missing.join(", ")}: ${whole.reason}`;
  // An ordinary user's namespace may lack modules that root's would load.
  if (process.geteuid?.() !== 0)
    return unseen(where, `as this user, rules are refused: ${what}`, "run this as root");
  return lacking(where, "missing-kernel-feature", what, `load its modules (modprobe ${modules})`);
}

type Refusal = { readonly kind: "untried" | "refused"; readonly reason: string };

/** Loads rules in a network namespace that ends with the command. */
export async function loadElsewhere(text: string, signal: AbortSignal): Promise<"loaded" | Refusal> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-check-"));
  try {
    const path = join(directory, "rules.nft");
    await writeFile(path, text);
    // The first tells whether there is an elsewhere at all.
    const namespace = await elsewhere(["true"], signal);
    if (namespace.exitCode !== 0) return { kind: "untried", reason: firstLine(namespace) };
    const { exitCode, ...said } = await elsewhere(["nft", "-f", path], signal);
    return exitCode === 0 ? "loaded" : { kind: "refused", reason: firstLine(said) };
  } catch (error) {
    return { kind: "untried", reason: (error as Error).message };
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Runs a program in a network namespace of its own; an ordinary user's is in a user namespace of its own too (unshare(1)). */
export async function elsewhere(command: readonly string[], signal: AbortSignal): Promise<RunResult> {
  const own = process.geteuid?.() === 0 ? ["-n"] : ["-r", "-n"];
  const allowedExitCodes = [1, 2, 126, 127];
  return await run("unshare", [...own, ...command], { signal, timeoutMs: probeTimeoutMs, allowedExitCodes });
}

export function firstLine({ stderr }: Pick<RunResult, "stderr">): string {
  return stderr.trim().split("\n")[0]?.slice(0, 300) || "it said nothing";
}

/** The host-only cards have nothing but IPv6. */
export async function lackingIpv6(): Promise<Finding | undefined> {
  const has6 = (await readFile("/proc/net/if_inet6", "utf8").catch(() => undefined)) !== undefined;
  if (has6) return undefined;
  const what = "IPv6, by which the daemon reaches its boards (CONFIG_IPV6)";
  return lacking("IPv6", "missing-kernel-feature", what, "boot without ipv6.disable=1, or modprobe ipv6");
}

interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

/**
 * Another table that drops what is passed on drops the service with it: every table has its say (nft(8), "verdict").
 * @param families whose rules the service's packets pass.
 */
export async function otherRuleFindings(names: SystemNames, families: readonly string[]): Promise<Finding[]> {
  const where = "other rules";
  if (process.geteuid?.() !== 0)
    return [unseen(where, "whether a firewall drops what is passed on", "run this as root")];
  try {
    const { stdout } = await run("nft", ["-j", "list", "chains"]);
    const listed = (JSON.parse(stdout.toString()) as { nftables: { chain?: Chain }[] }).nftables;
    const dropping = listed
      .flatMap(({ chain }) => (chain === undefined ? [] : [chain]))
      .filter(({ family, table }) => families.includes(family) && table !== names.table)
      .filter(({ hook, policy }) => hook === "forward" && policy === "drop");
    if (dropping.length === 0) return [fine(where, "no other table drops what is passed on by default")];
    return dropping.map(({ family, table, name }) =>
      doubtful(
        where,
        `chain ${name} of table ${family} ${table} drops what it does not know, the service's packets too`,
        `let it accept what goes from and to the cards ${boardNames.map((board) => names.card(board, "service")).join(" and ")}`,
      ),
    );
  } catch (error) {
    return [unseen(where, `they were not listed: ${(error as Error).message}`, "install nftables")];
  }
}
