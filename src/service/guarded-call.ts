/**
 * Calls of programs that move a leased service, guarded against the past: each runs under a lock (flock(1)) that its process group holds
 * until all of it has ended, with the epoch checked and remembered under that lock. So a call of a daemon that is dead either ended
 * before the next one begins, or finds a higher epoch and does nothing. The guard is a process of its own: it needs no daemon.
 */
import { join } from "node:path";
import { type ErrorCode, TwinboardError } from "../errors.ts";
import { readFileIfThere } from "../system/files.ts";
import { processStartTicks } from "../system/host.ts";
import { type GroupResult, killGroup, runGroup } from "../system/process-group.ts";
import type { Turns } from "../system/turns.ts";
import { type LeaseMemory, type Place, placeFile } from "./lease-memory.ts";

export interface GuardedCall {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  /** *look*: without the lock; it changes nothing. *make*: makes or removes what the service needs. *act*: only with this epoch or a higher one. */
  readonly guard: "look" | "make" | { readonly epoch: number };
  /** Where the service is once the program has done its work: *made*: as it was, or with nobody; *gone*: nowhere; left out: as it was. */
  readonly place?: Pick<Place, "verb" | "board"> | "made" | "gone";
  readonly signal?: AbortSignal | undefined;
}

export interface GuardedResult {
  readonly stdout: string;
  readonly lastWords: string;
  readonly exitCode: number;
}

/** In the service's directory: the lock, and who has it: process id and start time (proc(5), stat field 22) of the group's leader. */
const lockFile = "lock";
const callFile = "call";
/** For the guard itself. */
const spareMs = 1000;

/**
 * The last act is always the end of the whole group, while the lock is still held: nothing of it can act later. What the program
 * means to leave behind needs a session of its own (setsid(1)). The outcome is told on descriptor 3 for this reason.
 */
const script = `wait=$1 limit=$2 epoch=$3 verb=$4 board=$5
shift 5
# Whom it would tell may be dead by now; the program itself gets the signal as usual.
trap : PIPE
tell() { echo "$@" >&3; }
end() { kill -KILL 0; }
put() { echo "$1 $2 $3" >${placeFile}.new && mv ${placeFile}.new ${placeFile} || { tell unwritten; end; }; }
if [ -n "$wait" ]; then
  exec 9>>${lockFile} || exit
  flock -w "$wait" 9 || { tell locked; exit; }
  echo "$$ $(cut -d ' ' -f 22 "/proc/$$/stat")" >${callFile}
fi
( sleep "$limit"; tell late; end ) </dev/null >/dev/null 2>&1 &
if [ -n "$epoch" ]; then
  [ -e ${placeFile} ] || { tell absent; end; }
  read -r known is where <${placeFile}
  [ "$epoch" -ge "$known" ] || { tell stale "$known"; end; }
  put "$epoch" "$is" "$where"
fi
"$@" 3>&- 9>&-
code=$?
if [ "$code" -eq 0 ]; then
  case $verb in
    gone) rm -f ${placeFile} ;;
    made) [ -e ${placeFile} ] || put 0 settle none ;;
    ?*) put "$epoch" "$verb" "$board" ;;
  esac
fi
tell done "$code"
end`;

/** One at a time; whatever else has the lock is a leftover of a daemon that is dead. */
export class GuardedCalls {
  readonly #memory: LeaseMemory;
  readonly #what: string;
  readonly #turns: Turns;

  /** @param what whose calls they are, for errors. */
  constructor(memory: LeaseMemory, what: string, turns: Turns) {
    this.#memory = memory;
    this.#what = what;
    this.#turns = turns;
  }

  /**
   * Runs the program to its end.
   * Errors: `stale-epoch`, `takeover-failed` (of a call with an epoch: nothing is set up), `deadline-passed`, `command-failed`,
   * `missing-program`; the signal's reason. What the program's own exit code means is the caller's to say.
   */
  async run(call: GuardedCall): Promise<GuardedResult> {
    call.signal?.throwIfAborted();
    return call.guard === "look"
      ? await this.#run(call)
      : await this.#turns.take(() => this.#runLocked(call));
  }

  /** Runs what `choose` finds to be done, if anything, when no other guarded call of this daemon is under way any more. */
  async runWhenAlone(choose: () => Promise<GuardedCall | undefined>): Promise<GuardedResult | undefined> {
    return await this.#turns.take(async () => {
      const call = await choose();
      return call === undefined ? undefined : await this.#runLocked(call);
    });
  }

  async #runLocked(call: GuardedCall): Promise<GuardedResult> {
    await this.#endLeftover();
    return await this.#run(call);
  }

  async #run(call: GuardedCall): Promise<GuardedResult> {
    const { command, env, timeoutMs, maxOutputBytes, guard, place, signal } = call;
    const seconds = String(timeoutMs / 1000);
    const moved = typeof place === "string" ? [place, ""] : [place?.verb ?? "", place?.board ?? "none"];
    const words = [
      guard === "look" ? "" : seconds,
      seconds,
      typeof guard === "string" ? "" : guard.epoch,
      ...moved,
    ];
    const result = await runGroup("sh", ["-c", script, "twinboard-guard", ...words.map(String), ...command], {
      // It waits for the lock, then it works; the guard's own deadline comes first.
      timeoutMs: 2 * timeoutMs + spareMs,
      maxOutputBytes,
      env,
      cwd: this.#memory.directory,
      signal,
    });
    return this.#outcome(result, timeoutMs);
  }

  #outcome({ stdout, lastWords, report, failure }: GroupResult, timeoutMs: number): GuardedResult {
    const fail = (code: ErrorCode, what: string): never => {
      throw new TwinboardError(code, { detail: `${this.#what}: ${what}`, cause: failure });
    };
    const [word, figure] = report.split("\n", 1)[0]?.split(" ") ?? [];
    if (word === "done") return { stdout, lastWords, exitCode: Number(figure) };
    if (word === "stale") return fail("stale-epoch", `it knows epoch ${figure}`);
    if (word === "absent") return fail("takeover-failed", "it is not set up");
    if (word === "late")
      return fail("deadline-passed", `it did not end within ${timeoutMs} ms, and was ended`);
    if (word === "locked") return fail("command-failed", "an earlier call of it has not ended");
    if (word === "unwritten") return fail("command-failed", `${this.#memory.directory} cannot be written to`);
    if (failure instanceof TwinboardError)
      throw new TwinboardError(failure.code, { detail: `${this.#what}: ${failure.detail}`, cause: failure });
    return fail("command-failed", `it was ended from outside${lastWords === "" ? "" : `: ${lastWords}`}`);
  }

  /** A daemon that is dead cannot give up what it began; the watch inside the group would, but only at its deadline. */
  async #endLeftover(): Promise<void> {
    const text = (await readFileIfThere(join(this.#memory.directory, callFile))) ?? "";
    const [pid = 0, startTicks] = text.trim().split(" ").map(Number);
    if (pid > 1 && (await processStartTicks(pid)) === startTicks) killGroup(pid);
  }
}
