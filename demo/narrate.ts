/** The demo in plain lines: what is done, and each phase of an upgrade as it goes by. */
import { durationText } from "../src/cli/format.ts";
import type { JournalRecord, PhaseName } from "../src/upgrade/record.ts";

const meaning: Readonly<Record<PhaseName, string>> = {
  deliver: "signature, compatible and version of the bundle are accepted",
  vacate: "the board that is not in service is off",
  install: "its slot is written, every block checked, and read back",
  boot: "it runs beside the other, fenced off from the outside",
  verify: "it says that it is ready, with the right version, and is healthy",
  takeover: "new connections reach it from here on",
  probation: "it stayed healthy, and the old board finished what it had begun",
  commit: "the upgrade is done; the old board is dormant",
};

/** On a device that has nothing yet there is no other board. */
const firstMeaning: Readonly<Record<PhaseName, string>> = {
  ...meaning,
  vacate: "no board runs",
  boot: "it runs, fenced off from the outside",
  probation: "it stayed healthy",
  commit: "the installation is done",
};

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

/** Says what the records of one upgrade tell, as they come. */
export function phaseNarrator(story: "first installation" | "upgrade"): (record: JournalRecord) => void {
  const texts = story === "upgrade" ? meaning : firstMeaning;
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
