/** `twinboard upgrade` */
import { resolve } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import { TwinboardError } from "../errors.ts";
import type { Client } from "./client.ts";
import { findSocket, type SocketOptions, socketOption, systemOption } from "./socket.ts";
import { printJson, verb } from "./verb.ts";

const goesOn = "Detached: the upgrade goes on. Watch it with: twinboard status";
const brokenOff = "The bundle had not been sent whole: the upgrade will be rejected, and nothing changes.";

interface UpgradeOptions extends SocketOptions {
  readonly force?: true | undefined;
  readonly wait: boolean;
  readonly json?: true | undefined;
}

export function addUpgrade(program: Command): void {
  program
    .command("upgrade")
    .summary("deliver … commit: install a bundle on the dormant board and let it take the service over")
    .description(
      "Installs a bundle on the dormant board, boots and verifies it, and lets it take the service over; sends the service back if the board fails in probation. Ctrl-C stops watching only.",
    )
    .argument("<bundle>", "path of the bundle on this device, or - to read it from stdin")
    .option("--force", "accept a version that failed here before, and overwrite the only good slot")
    .option("--no-wait", "return once the upgrade has begun")
    .option("--json", "print one JSON object a line: record, progress, and at the end result")
    .addOption(socketOption())
    .addOption(systemOption())
    .action(async (bundle, options) => {
      await verb(options.json === true, async () => await upgrade(bundle, options));
    });
}

async function upgrade(bundle: string, options: UpgradeOptions): Promise<number> {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(bundle))
    throw new TwinboardError("usage", { detail: `${bundle}: a URL is not supported by this version` });
  const { Client } = await import("./client.ts");
  const client = new Client(await findSocket(options));
  const { seq, system, boards, holder } = await client.status();
  const force = options.force === true;
  const json = options.json === true;
  const sending = new AbortController();
  const begun =
    bundle === "-"
      ? await sendBundle(client, force, sending.signal)
      : { ...(await client.upgrade(resolve(bundle), force)), sent: Promise.resolve(), isWhole: () => true };
  const { id, sent, isWhole } = begun;

  if (!options.wait) {
    await sent;
    if (json) printJson({ id });
    else process.stdout.write(`Begun: ${id}. Watch it with: twinboard status\n`);
    return 0;
  }
  const { watchStory } = await import("./watch-story.ts");
  const from = holder === null ? null : boards[holder].version;
  const code = await watchStory({
    client,
    story: id,
    kind: "upgrade",
    after: seq,
    title: `Upgrade of ${system}${from === null ? ", first installation" : ` from ${from}`}`,
    json,
    detached: () => (isWhole() ? goesOn : brokenOff),
  });
  // A story that ended, or a person who left, waits for no more bytes.
  sending.abort();
  process.stdin.destroy();
  return code;
}

/** Sends stdin. `isWhole` tells whether the daemon has had all of it. */
async function sendBundle(client: Client, force: boolean, signal: AbortSignal) {
  const { id, sent } = await client.upload(process.stdin, force, signal);
  const state = { whole: false };
  const watched = (async () => {
    await sent;
    state.whole = true;
  })();
  return { id, sent: watched, isWhole: () => state.whole };
}
