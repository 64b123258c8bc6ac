/** The demo in plain lines: what is done, each phase of a story as it goes by, and what the clients saw. */
import { durationText } from "../src/cli/format.ts";
import type { JournalRecord, PhaseName } from "../src/upgrade/record.ts";
import type { Act, Seen } from "./act.ts";

type Meaning = Readonly<Record<PhaseName, string>>;

const upgrade: Meaning = {
  deliver: "signature, compatible and version of the bundle are accepted",
  vacate: "the board that is not in service is off",
  install: "its slot is written, every block checked, and read back",
  boot: "it runs beside the other, fenced off from the outside",
  verify: "it says that it is ready, with the right version, and is healthy",
  takeover: "new connections reach it from here on",
  probation: "it stayed healthy, and the old board finished what it had begun",
  commit: "the upgrade is done; the old board is dormant",
};

/** What each phase has made true, by story. */
export const meanings = {
  upgrade,
  /** On a device that has nothing yet there is no other board. */
  installation: {
    ...upgrade,
    vacate: "no board runs",
    boot: "it runs, fenced off from the outside",
    probation: "it stayed healthy",
    commit: "the installation is done",
  },
  rollback: {
    ...upgrade,
    boot: "the dormant board is awake, fenced off from the outside",
    verify: "it is ready, and healthy",
    commit: "the rollback is done; the board that was relieved is dormant",
  },
  failover: {
    ...upgrade,
    boot: "the dormant board is awake",
    verify: "it is ready, and healthy",
    commit: "it is the primary from here on",
  },
  standby: {
    ...upgrade,
    commit: "it is dormant, ready to take over",
  },
} as const satisfies Record<string, Meaning>;

const shownTroubles = 10;

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function chapter(title: string): void {
  say(`\n== ${title}`);
}

/** A line of the demo's own command, as somebody would type it. */
export function command(line: string): void {
  say(`  $ ${line}`);
}

function line(name: string, ms: number, text: string): void {
  say(`  ${name.padEnd(10)} ${durationText(ms).padStart(8)}  ${text}`);
}

/** Says what the records of one story tell, as they come. */
export function phaseNarrator(story: keyof typeof meanings): (record: JournalRecord) => void {
  const texts = meanings[story];
  let beganAt = 0;
  return ({ event, phase, at, data }) => {
    if (event === "phase-began" || event === "undo-began") beganAt = at;
    if (phase === null) return;
    if (event === "phase-done") line(phase, at - beganAt, texts[phase]);
    if (event === "phase-failed") {
      const error = data["error"] as { readonly message?: string } | undefined;
      line(phase, at - beganAt, `FAILED: ${error?.message ?? "no reason given"}`);
    }
    if (event === "noted" && typeof data["takenBackAt"] === "number")
      line("take-back", data["takenBackAt"] - beganAt, "new connections reach the old board again");
  };
}

/** How an act ended, what its clients saw, and the first requests that went wrong, with the time since its beginning. */
export function sayAct({ result, seen, span }: Act): void {
  const { outcome, error, drain } = result;
  say(`  ${error === null ? outcome : `${outcome}: ${error.message}`}`);
  saySeen(seen);
  if (drain !== null && drain.closedEarly + drain.cut > 0)
    say(
      `  drain: ${drain.closedEarly} connections closed between two requests, ${drain.cut} cut at the deadline`,
    );
  const seconds = (at: number): string => ((at - span.from) / 1000).toFixed(1);
  for (const { kind, outcome, scheduledAt, endedAt, version, detail } of seen.troubles.slice(
    0,
    shownTroubles,
  ))
    say(
      `  ${outcome}: ${kind}, began ${seconds(scheduledAt)} s, ended ${seconds(endedAt)} s after the ` +
        `beginning, answered by ${version ?? "nobody"}: ${detail}`,
    );
}

export function saySeen({ all, keptAlive }: Seen): void {
  const answered = Object.entries(all.versions).map(([version, count]) => `${count} by ${version}`);
  say(
    `  clients: ${all.requests} requests, ${all.failed} failed, ${all.resets + all.deadlineResets} reset; ` +
      `answered ${answered.join(", ")}; longest gap between two answers ${all.longestGapMs.toFixed(1)} ms`,
  );
  say(
    `  of them on kept-alive connections: ${keptAlive.requests}, ${keptAlive.failed} failed, ` +
      `${keptAlive.resets + keptAlive.deadlineResets} reset, ${keptAlive.repeated} sent twice`,
  );
}
