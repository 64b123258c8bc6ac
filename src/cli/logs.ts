/** `twinboard logs BOARD` */
import { type Command, InvalidArgumentError } from "@commander-js/extra-typings";
import { boardArgument } from "./board-argument.ts";
import type { BoardName } from "./client.ts";
import { letGoOnSignals } from "./let-go.ts";
import { findSocket, type SocketOptions, socketOption, systemOption } from "./socket.ts";
import { printJson, verb } from "./verb.ts";

const mostLines = 99_999;

export function addLogs(program: Command): void {
  program
    .command("logs")
    .summary("what a board wrote on its console, also one that is off or dead")
    .description(
      "Prints the last lines of a board's console, as the daemon kept them: also of a board that is off, asleep or dead, up to its next start.",
    )
    .addArgument(boardArgument())
    .option("--lines <number>", "how many of the last lines", lineCount, 100)
    .option("--follow", "go on with each line that comes, until Ctrl-C")
    .option("--json", "print one JSON object a line")
    .addOption(socketOption())
    .addOption(systemOption())
    .action(async (board, options) => {
      await verb(options.json === true, async () => await logs(board, options));
    });
}

interface LogsOptions extends SocketOptions {
  readonly lines: number;
  readonly follow?: true | undefined;
  readonly json?: true | undefined;
}

function lineCount(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`Expected a whole number from 0 to ${mostLines}.`);
}

async function logs(board: BoardName, options: LogsOptions): Promise<number> {
  const { Client } = await import("./client.ts");
  const client = new Client(await findSocket(options));
  const print = (line: string): void => {
    if (options.json === true) printJson({ line });
    else process.stdout.write(`${line}\n`);
  };
  if (options.follow === undefined) {
    for (const line of await client.log(board, options.lines)) print(line);
    return 0;
  }
  using letGo = letGoOnSignals();
  return await letGo.or(async (signal) => {
    for await (const line of client.followLog(board, options.lines, signal)) print(line);
    return 0;
  });
}
