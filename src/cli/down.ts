/** `twinboard down` */
import type { Command } from "@commander-js/extra-typings";
import { TwinboardError } from "../errors.ts";
import { findSocket, type SocketOptions, socketOption, systemOption } from "./socket.ts";
import { printJson, verb } from "./verb.ts";

/** Takes a system down without a daemon, from its configuration alone. */
export type TakeDown = (options: { readonly config: string }) => Promise<void>;

export function addDown(program: Command, takeDown: TakeDown): void {
  program
    .command("down")
    .summary("stop the boards and put the host back as it was")
    .description(
      "Stops the boards, removes every rule, card and group that is ours and restores what was changed. Through the daemon, which ends with it; or without one, from the configuration.",
    )
    .option("--config <file>", "take the system of this configuration down, also without a daemon")
    .option("--json", "print one JSON object")
    .addOption(socketOption())
    .addOption(systemOption())
    .action(async (options) => {
      await verb(options.json === true, async () => {
        const by = await down(options, takeDown);
        if (options.json === true) printJson({ down: true, by });
        else process.stdout.write("Down: no board runs, and the host is as it was found.\n");
        return 0;
      });
    });
}

async function down(
  options: SocketOptions & { readonly config?: string | undefined },
  takeDown: TakeDown,
): Promise<"daemon" | "command"> {
  const { Client } = await import("./client.ts");
  const { config } = options;
  try {
    await new Client(await socketOf(options)).down();
    return "daemon";
  } catch (error) {
    const nobody = error instanceof TwinboardError && error.code === "daemon-unreachable";
    if (!nobody || config === undefined) throw error;
  }
  // The system's lock keeps this from going on beside a daemon that was only not found.
  await takeDown({ config });
  return "command";
}

/** A configuration that is named says which system is meant, if no socket is. */
async function socketOf(options: SocketOptions & { readonly config?: string | undefined }): Promise<string> {
  if (options.config === undefined || options.socket !== undefined || options.system !== undefined)
    return await findSocket(options);
  const { loadConfig } = await import("../config/load.ts");
  const { system } = await loadConfig(options.config);
  return await findSocket({ system });
}
