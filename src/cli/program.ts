/** The command's verbs, and what every one of them has in common: how an error is told, and with which exit code it ends. */
import { Command, CommanderError, type CommandUnknownOpts } from "@commander-js/extra-typings";
import { addBundle } from "./bundle.ts";
import { addCancel } from "./cancel.ts";
import { addCheck, type Check } from "./check.ts";
import { addConsole } from "./console.ts";
import { addDown, type TakeDown } from "./down.ts";
import { addHistory } from "./history.ts";
import { addLogs } from "./logs.ts";
import { addPlace } from "./place.ts";
import { addRollback } from "./rollback.ts";
import { addServe, type Serve } from "./serve.ts";
import { addStatus } from "./status.ts";
import { addUpgrade } from "./upgrade.ts";
import { version } from "./version.ts";

/** EX_USAGE of sysexits(3). */
const usageExitCode = 64;

const exitCodesHelp = `
Exit codes: 0 done, 1 failed and rolled back, 2 rejected and nothing changed, 3 stuck: needs a person,
64 the command line is not understood, 130 detached by Ctrl-C while the story goes on.`;

export interface Composition {
  readonly serve: Serve;
  readonly takeDown: TakeDown;
  readonly check: Check;
}

/** A verb that was called wrongly names its own help. */
function pointToHelp(command: CommandUnknownOpts, called: string): void {
  command.showHelpAfterError(`(see ${called} --help)`);
  for (const verb of command.commands) pointToHelp(verb, `${called} ${verb.name()}`);
}

/** Runs one command line to its end; returns the exit code. */
export async function runProgram(
  argv: readonly string[],
  { serve, takeDown, check }: Composition,
): Promise<number> {
  // Whoever read the output may go away; the work, and its exit code, do not depend on being read.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  const program = new Command("twinboard")
    .description("Upgrades an embedded device with no downtime, by two virtual boards on one processor.")
    .version(version)
    .enablePositionalOptions()
    .addHelpText("after", exitCodesHelp)
    .exitOverride();
  addServe(program, serve);
  addCheck(program, check);
  addUpgrade(program);
  addStatus(program);
  addHistory(program);
  addRollback(program);
  addCancel(program);
  addPlace(program);
  addLogs(program);
  addConsole(program);
  addDown(program, takeDown);
  addBundle(program);
  pointToHelp(program, "twinboard");
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help that was asked for is no error; help for want of a verb is.
    return error.exitCode === 0 ? 0 : usageExitCode;
  }
  return Number(process.exitCode ?? 0);
}
