/** What `status` shows a person. */
import type { Progress, Status } from "../api/schemas.ts";
import { bytesText, cpuText, durationText, tableLines } from "./format.ts";

const none = "–";

/** Of its other threads too where these have others. */
function coresText({ cores, emulator }: Status["boards"]["a"]["confinement"]): string {
  const own = cores ?? "all";
  return (emulator ?? "all") === own ? own : `${own}, emulator ${emulator ?? "all"}`;
}

/** Of a processor that both boards want. */
function shareText({ sharePercent }: Status["boards"]["a"]["confinement"]): string {
  if (sharePercent === null) return none;
  return sharePercent === 0 ? "idle class" : sharePercent === 100 ? "full" : `${sharePercent} %`;
}

function boardRow(name: "a" | "b", board: Status["boards"]["a"], nowMs: number): string[] {
  const { role, kind, version, slot, usage, dormantSince, dormantCpuNs, confinement } = board;
  const dormant =
    dormantSince === null || dormantCpuNs === null
      ? undefined
      : `${cpuText(dormantCpuNs)} in ${durationText(Math.max(0, nowMs - dormantSince))}`;
  return [
    name,
    role,
    kind,
    version ?? none,
    slot ?? "empty",
    dormant ?? (usage === null ? none : cpuText(usage.cpuNs)),
    usage === null ? none : bytesText(usage.residentBytes),
    coresText(confinement),
    shareText(confinement),
  ];
}

/** How the board that does not hold sleeps, as far as that is known. */
function dormancyLine(name: "a" | "b", { dormancy }: Status["boards"]["a"], nowMs: number): string[] {
  if (dormancy === null) return [];
  const { depth, since, wayBackMs } = dormancy;
  const isOff = depth === "off";
  const how = isOff ? "off" : depth === null ? "asleep" : `asleep, ${depth}`;
  const age = since === null ? "" : ` for ${durationText(Math.max(0, nowMs - since))}`;
  const way = isOff ? "boots" : "wakes";
  const took =
    wayBackMs === null
      ? ""
      : ` in ${wayBackMs < 1000 ? `${wayBackMs} ms` : durationText(wayBackMs)}, as last measured`;
  return [`Board ${name}: ${how}${age}; ${way}${took}`];
}

/** Flows of the board that drains, by service. */
function drainLines({ services }: NonNullable<Progress["drain"]>): string[] {
  const rows = Object.entries(services).map(([name, { left, finished, closedEarly, cut }]) => [
    `  ${name}`,
    ...[left, finished, closedEarly, cut].map(String),
  ]);
  return tableLines([["  drain of", "left", "finished", "closed early", "reset"], ...rows]);
}

/** What a person sees of a system. `nowMs`: milliseconds since 1970. Pure. */
export function statusLines(status: Status, nowMs: number): string[] {
  const { system, holder, boards, story, lastStory, stuck, floor, failover, troubles } = status;
  const lines = [
    `${system}: ${holder === null ? "NO BOARD IS IN SERVICE" : `board ${holder} is in service with ${boards[holder].version ?? "unknown software"}`}`,
  ];
  if (stuck !== null) lines.push(`STUCK (${stuck.code}): ${stuck.reason}`);
  for (const { service, what } of troubles) lines.push(`TROUBLE with ${service}: ${what}`);
  for (const name of ["a", "b"] as const)
    for (const lack of boards[name].confinement.lacks) lines.push(`Board ${name}: ${lack}`);
  lines.push(
    "",
    ...tableLines([
      ["board", "role", "kind", "version", "slot", "processor", "memory", "cores", "share"],
      boardRow("a", boards.a, nowMs),
      boardRow("b", boards.b, nowMs),
    ]),
    "",
  );
  for (const name of ["a", "b"] as const) lines.push(...dormancyLine(name, boards[name], nowMs));
  if (story !== null) {
    const { kind, phase, from, to, startedAt, progress } = story;
    const awaiting = progress?.awaiting === undefined ? "" : `, awaiting ${progress.awaiting}`;
    lines.push(
      `Under way: ${kind} ${from ?? none} → ${to ?? "?"}, ${phase ?? "beginning"}${awaiting}, for ${durationText(Math.max(0, nowMs - startedAt))}`,
    );
    if (progress?.drain !== undefined) lines.push(...drainLines(progress.drain));
  }
  if (lastStory !== null) {
    const { kind, outcome, from, to, endedAt, error } = lastStory;
    lines.push(
      `Last: ${kind} ${from ?? none} → ${to ?? "?"} ${outcome}, ${durationText(Math.max(0, nowMs - endedAt))} ago${error === null ? "" : `: ${error.message}`}`,
    );
  }
  lines.push(
    `Failover: ${failover.ready ? "ready" : `not ready, ${failover.reason ?? "without a reason"}`}`,
    `Version floor: ${floor ?? "none"}`,
  );
  return lines;
}
