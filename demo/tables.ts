/** The demo's report as rows of cells for people; the first of each table is the heading. */
import { phaseNames } from "../src/upgrade/record.ts";
import type { DemoReport, UpgradeReport } from "./report.ts";

/** The report's stories, in the order in which they were played. */
export function stories({
  upgrades,
  rollback,
  failover,
  standby,
  refused,
}: DemoReport): (readonly [string, UpgradeReport])[] {
  const [committed, takenBack] = upgrades;
  return [
    ...(committed === undefined ? [] : [["upgrade", committed] as const]),
    ["rollback", rollback],
    ["failover", failover],
    ["standby", standby],
    ...(takenBack === undefined ? [] : [["upgrade", takenBack] as const]),
    ["upgrade", refused],
  ];
}

function nameOf([kind, { from, to }]: readonly [string, UpgradeReport]): string {
  return `${kind} ${from ?? "–"} → ${to ?? "–"}`;
}

function against(ms: number, baselineMs: number): string {
  return `${ms.toFixed(1)} (${baselineMs.toFixed(1)})`;
}

export function storyRows(report: DemoReport): string[][] {
  const heading = [
    "story",
    "outcome",
    "requests",
    "failed",
    "resets",
    "longest gap (without), ms",
    "p99 (without), ms",
  ];
  const rows = stories(report).map((named) => {
    const [, story] = named;
    const { resets, deadlineResets } = story;
    return [
      nameOf(named),
      story.outcome,
      String(story.requests),
      String(story.failed),
      deadlineResets === 0 ? String(resets) : `${resets} + ${deadlineResets} at the deadline`,
      against(story.longestGapMs, story.baselineLongestGapMs),
      against(story.p99Ms, story.baselineP99Ms),
    ];
  });
  return [heading, ...rows];
}

/** Each phase's milliseconds; a phase that was not reached is a dash. */
export function phaseRows(report: DemoReport): string[][] {
  const rows = stories(report).map((named) => [
    nameOf(named),
    ...phaseNames.map((name) => String(named[1].phases[name] ?? "–")),
  ]);
  return [["phases, ms", ...phaseNames], ...rows];
}

function ms(value: number | null): string {
  return value === null ? "–" : `${value.toFixed(0)} ms`;
}

/** Everything else, a line each. */
export function factRows({ dormant, load, keptAlive, failover, traditional }: DemoReport): string[][] {
  const mebibytes = (dormant.residentBytes / 1024 ** 2).toFixed(1);
  return [
    [
      "whole load",
      `${load.requests} requests (${load.ipv4} over IPv4, ${load.ipv6} over IPv6) in and between the acts, ` +
        `without the failover: ${load.failed} failed, ${load.resets} reset`,
    ],
    [
      "dormant board",
      `${dormant.cpuNs} ns of processor time in ${dormant.seconds.toFixed(1)} s, ${mebibytes} MiB resident`,
    ],
    [
      "kept alive",
      `${keptAlive.requests} requests of ${keptAlive.clients} clients on ${keptAlive.connections} connections: ` +
        `${keptAlive.failed} failed, ${keptAlive.resets} reset, ${keptAlive.repeated} sent twice`,
    ],
    [
      "drains",
      `${keptAlive.closedEarly} connections closed between two requests, ${keptAlive.cut} cut at the deadline`,
    ],
    ["board killed", killedText(failover)],
    [
      "traditional",
      `${(traditional.downMs / 1000).toFixed(1)} s without an answer, ${traditional.failed} of ` +
        `${traditional.requests} requests failed (stop ${ms(traditional.stopMs)}, write ${ms(traditional.writeMs)}, ` +
        `boot ${ms(traditional.bootMs)})`,
    ],
  ];
}

function killedText({ takeoverMs, firstAnswerMs, lost }: DemoReport["failover"]): string {
  return `takeover after ${ms(takeoverMs)}, first answer after ${ms(firstAnswerMs)}; ${lost} requests lost with the board`;
}
