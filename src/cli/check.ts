/** `twinboard check` */
import { styleText } from "node:util";
import type { Command } from "@commander-js/extra-typings";
import { exitCodes } from "../errors.ts";
import type { Finding, Severity } from "../system/finding.ts";
import { printJson, verb } from "./verb.ts";

export interface Checked {
  readonly system: string;
  /** Process id of the daemon that serves the system already. */
  readonly daemon: number | null;
  readonly findings: readonly Finding[];
}

/** Errors: `config-invalid`. */
export type Check = (options: { readonly config: string }) => Promise<Checked>;

export function addCheck(program: Command, check: Check): void {
  program
    .command("check")
    .summary("what is wrong with a configuration and this host, each with its remedy")
    .description(
      "Looks at a configuration and at this host, and tells everything at once: what the daemon would refuse to start for, what would not be as it should, each with its remedy. Changes nothing, needs no daemon, and may be run beside one.",
    )
    .requiredOption("--config <file>", "configuration of the system")
    .option("--json", "print one JSON object")
    .action(async (options) => {
      await verb(options.json === true, async () => {
        const checked = await check({ config: options.config });
        if (options.json === true) printJson(objectOf(checked));
        else process.stdout.write(`${checkLines(checked).join("\n")}\n`);
        return isFine(checked) ? 0 : exitCodes.rejected;
      });
    });
}

function isFine({ findings }: Checked): boolean {
  return findings.every(({ severity }) => severity !== "error");
}

function objectOf(checked: Checked) {
  const { system, daemon, findings } = checked;
  return {
    system,
    ok: isFine(checked),
    daemon,
    findings: findings.map(({ severity, where, what, remedy, error }) => {
      return { severity, where, what, remedy: remedy === "" ? null : remedy, code: error?.code ?? null };
    }),
  };
}

const marks: Readonly<
  Record<Severity, { readonly word: string; readonly style: Parameters<typeof styleText>[0] }>
> = {
  error: { word: "ERROR", style: "red" },
  warning: { word: "warning", style: "yellow" },
  unknown: { word: "unknown", style: "cyan" },
  ok: { word: "ok", style: "green" },
};
const wordWidth = 9;

/** What a person sees: worst first, what to do below what is wrong. */
export function checkLines({ system, daemon, findings }: Checked): string[] {
  const whereWidth = Math.max(...findings.map(({ where }) => where.length)) + 2;
  const indent = " ".repeat(wordWidth + whereWidth);
  const lines: string[] = [];
  for (const severity of ["error", "warning", "unknown", "ok"] as const) {
    const { word, style } = marks[severity];
    for (const { where, what, remedy } of findings.filter((finding) => finding.severity === severity)) {
      const mark = styleText(style, word, { stream: process.stdout });
      lines.push(`${mark}${" ".repeat(wordWidth - word.length)}${where.padEnd(whereWidth)}${what}`);
      if (remedy !== "") lines.push(`${indent}→ ${remedy}`);
    }
  }
  return [...lines, "", summary({ system, daemon, findings })];
}

function summary({ system, daemon, findings }: Checked): string {
  const count = (severity: Severity): number =>
    findings.filter((finding) => finding.severity === severity).length;
  const [errors, warnings, unknown] = [count("error"), count("warning"), count("unknown")];
  const counts = [
    ...(errors > 0 ? [plural(errors, "error")] : []),
    ...(warnings > 0 ? [plural(warnings, "warning")] : []),
    ...(unknown > 0 ? [`${unknown} not looked at`] : []),
  ];
  const verdict = errors > 0 ? "cannot be served by this host" : "can be served by this host";
  const served = daemon === null ? "" : `; process ${daemon} serves it now`;
  return `${system} ${verdict}: ${counts.join(", ") || "nothing is wrong"}${served}`;
}

function plural(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
