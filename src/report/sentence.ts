/** What happened, in one sentence for an operator. */
import { otherBoard } from "../board/board.ts";
import type { DrainCounts } from "../service/service.ts";
import type { FailureCause } from "../upgrade/failover-plan.ts";
import type { StoryKind } from "../upgrade/record.ts";
import type { Report } from "../upgrade/report.ts";
import { clockText, countText, spanText } from "./figures.ts";

/** What a story of this kind is called where it is the subject: "the upgrade". */
export const kindNouns: Readonly<Record<StoryKind, string>> = {
  upgrade: "upgrade",
  rollback: "rollback",
  restart: "restart of the primary",
  failover: "failover",
  standby: "preparation of the standby board",
};

/** What is said of a board that failed so: "board b died". */
export const failureVerbs: Readonly<Record<FailureCause, string>> = {
  died: "died",
  hung: "hung",
  unhealthy: "was not healthy",
  unlinked: "lost its link",
};

/** One sentence, sometimes two; ends with a full stop. */
export function sentenceOf(report: Report): string {
  const { outcome, error } = report;
  switch (outcome) {
    case "committed":
      return committed(report);
    case "rolled-back":
      return rolledBack(report);
    case "failed":
      return `${stays(report)} The ${kindNouns[report.kind]}${towards(report)} failed before the service moved${because(report)}.`;
    case "rejected":
      return `Nothing was changed: the ${kindNouns[report.kind]}${towards(report)} was refused${because(report)}.`;
    case "stuck":
      return `A person is needed: the ${kindNouns[report.kind]}${towards(report)} is stuck${error === null ? "" : `, ${error.message}`}.`;
    case null:
      return underWay(report);
    default:
      throw new RangeError(`unknown outcome ${String(outcome satisfies never)}`);
  }
}

function committed(report: Report): string {
  const { kind, to, from, service, endedAt, updatedAt } = report;
  const since = clockText(service.movedAt ?? endedAt ?? updatedAt);
  const version = to.version ?? "its software";
  const board = `Board ${to.board}`;
  if (kind === "standby") return `${board} stands by with ${version}: booted, verified and dormant.`;
  const why = failed(report);
  if (kind === "restart")
    return `${board} serves ${version} since ${since}, ${why === "" ? "after the host was booted" : `booted again because ${why}`}.`;
  if (kind === "failover")
    return `${board} took the service over at ${since} and serves ${version}, because ${why === "" ? `board ${from.board ?? otherBoard(to.board)} failed` : why}.`;
  const serves = `${board} serves ${version}${kind === "rollback" ? " again" : ""} since ${since}`;
  if (from.board === null) return `${serves}; this was the first installation.`;
  return report.drain === null ? `${serves}.` : `${serves}; ${drainClause(report.drain)}.`;
}

/** `nothing was lost in the drain: 12 connections ended by themselves, 3 were closed between requests, none was cut`. */
export function drainClause({ finished, closedEarly, cut, left }: DrainCounts): string {
  if (finished + closedEarly + cut + left === 0)
    return "the old board had no open connections, so there was nothing to drain";
  const verdict = cut + left === 0 ? "nothing was lost in the drain" : "the drain did not go without a cut";
  const still = left === 0 ? "" : `, ${left} ${left === 1 ? "is" : "are"} left`;
  const ended = finished === 1 ? "ended by itself" : "ended by themselves";
  return `${verdict}: ${countText(finished, "connection")} ${ended}, ${were(closedEarly)} closed between requests, ${were(cut)} cut${still}`;
}

const were = (count: number): string =>
  count === 0 ? "none was" : `${count} ${count === 1 ? "was" : "were"}`;

function rolledBack(report: Report): string {
  const { from, to, service } = report;
  const back = service.cameBackAt === null ? "" : ` since ${clockText(service.cameBackAt)}`;
  const served =
    service.movedAt === null || service.cameBackAt === null
      ? ""
      : ` after it had served for ${spanText(Math.max(0, service.cameBackAt - service.movedAt))}`;
  const who =
    from.board === null
      ? "The service was taken back"
      : `Board ${from.board} serves ${from.version ?? "its software"} again${back}`;
  return `${who}: board ${to.board} with ${to.version ?? "its software"} was relieved${served}${because(report)}.`;
}

function stays({ from }: Report): string {
  return from.board === null
    ? "No board was in service before, and none is by this."
    : `Board ${from.board} served ${from.version ?? "its software"} all the time.`;
}

function towards({ kind, to }: Report): string {
  return to.version === null || kind === "restart" || kind === "standby" ? "" : ` to ${to.version}`;
}

function failed({ failure }: Report): string {
  return failure === null ? "" : `board ${failure.board} ${failureVerbs[failure.cause]}`;
}

function because({ error }: Report): string {
  return error === null ? "" : `, because ${error.message}`;
}

function underWay({ kind, phases, undo, startedAt, ...report }: Report): string {
  const newest = phases.at(-1);
  const where = undo !== null ? "being undone" : newest === undefined ? "beginning" : `in ${newest.phase}`;
  return `The ${kindNouns[kind]}${towards({ kind, phases, undo, startedAt, ...report })} is under way since ${clockText(startedAt)}, ${where}.`;
}
