/** `twinboard status` */
import type { Command } from "@commander-js/extra-typings";
import type { Status } from "../api/schemas.ts";
import { bytesText, cpuText, durationText, tableLines } from "./format.ts";
import { findSocket, socketOption, systemOption } from "./socket.ts";
import { printJson, verb } from "./verb.ts";

export function addStatus(program: Command): void {
  program
    .command("status")
    .summary("both boards, holder, versions, phase, processor time, memory")
    .description(
      "Tells which board holds the services, what both boards are and do, and which story is under way.",
    )
    .option("--json", "print one JSON object")
    .addOption(socketOption())
    .addOption(systemOption())
    .action(async (options) => {
      await verb(options.json === true, async () => {
        const { Client } = await import("./client.ts");
        const status = await new Client(await findSocket(options)).status();
        if (options.json === true) printJson(status);
        else process.stdout.write(`${statusLines(status, Date.now()).join("\n")}\n`);
        return 0;
      });
    });
}

const none = "–";

function boardRow(name: "a" | "b", board: Status["boards"]["a"], nowMs: number): string[] {
  const { role, version, slot, usage, dormantSince, dormantCpuNs } = board;
  const dormant =
    dormantSince === null || dormantCpuNs === null
      ? undefined
      : `${cpuText(dormantCpuNs)} in ${durationText(Math.max(0, nowMs - dormantSince))}`;
  return [
    name,
    role,
    version ?? none,
    slot ?? "empty",
    dormant ?? (usage === null ? none : cpuText(usage.cpuNs)),
    usage === null ? none : bytesText(usage.residentBytes),
  ];
}

/** What a person sees of a system. `nowMs`: milliseconds since 1970. Pure. */
export function statusLines(status: Status, nowMs: number): string[] {
  const { system, holder, boards, story, lastStory, stuck, floor } = status;
  const lines = [
    `${system}: ${holder === null ? "NO BOARD IS IN SERVICE" : `board ${holder} is in service with ${boards[holder].version ?? "unknown software"}`}`,
  ];
  if (stuck !== null) lines.push(`STUCK (${stuck.code}): ${stuck.reason}`);
  lines.push(
    "",
    ...tableLines([
      ["board", "role", "version", "slot", "processor", "memory"],
      boardRow("a", boards.a, nowMs),
      boardRow("b", boards.b, nowMs),
    ]),
    "",
  );
  if (story !== null) {
    const { kind, phase, from, to, startedAt, progress } = story;
    const awaiting = progress?.awaiting === undefined ? "" : `, awaiting ${progress.awaiting}`;
    lines.push(
      `Under way: ${kind} ${from ?? none} → ${to ?? "?"}, ${phase ?? "beginning"}${awaiting}, for ${durationText(Math.max(0, nowMs - startedAt))}`,
    );
  }
  if (lastStory !== null) {
    const { kind, outcome, from, to, endedAt, error } = lastStory;
    lines.push(
      `Last: ${kind} ${from ?? none} → ${to ?? "?"} ${outcome}, ${durationText(Math.max(0, nowMs - endedAt))} ago${error === null ? "" : `: ${error.message}`}`,
    );
  }
  lines.push(`Version floor: ${floor ?? "none"}`);
  return lines;
}
