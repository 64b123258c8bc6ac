/** `twinboard serve` */
import type { Command } from "@commander-js/extra-typings";
import { findSocket, socketOption } from "./socket.ts";
import { verb } from "./verb.ts";

export interface ServeOptions {
  readonly config: string;
  /** Default: `/run/twinboard/<system>.sock`. */
  readonly socket: string | undefined;
}

/** Runs the daemon until it is told to stop. */
export type Serve = (options: ServeOptions) => Promise<void>;

export function addServe(program: Command, serve: Serve): void {
  program
    .command("serve")
    .summary("the daemon of one system, in the foreground")
    .description(
      "Runs the daemon in the foreground, ready for systemd. Stopping it by SIGTERM leaves the boards serving; started again it adopts them.",
    )
    .requiredOption("--config <file>", "configuration of the system")
    .addOption(socketOption())
    .action(async ({ config, socket }) => {
      await verb(false, async () => {
        await serve({ config, socket: socket === undefined ? undefined : await findSocket({ socket }) });
        return 0;
      });
    });
}
