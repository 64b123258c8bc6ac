/**
 * A leased service that is the integrator's own program (docs/exec.md), for content that Twinboard does not know. Each call of the
 * contract is one call of the program with a verb; what it says of the holder is compared with what it was told to do.
 */
import { access, constants, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { BoardName } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import type { SystemNames } from "../../system/names.ts";
import { Turns } from "../../system/turns.ts";
import { type GuardedCall, GuardedCalls, type GuardedResult } from "../guarded-call.ts";
import { LeaseMemory, type Place } from "../lease-memory.ts";
import { type LeasedCondition, type LeasedDrain, type LeasedService, notSetUp } from "../leased.ts";
import { type Seen, SelfRepair } from "../self-repair.ts";
import { type Answer, parseAnswer, parseDrain } from "./answer.ts";
import { environmentOf } from "./environment.ts";

export interface ExecOptions {
  readonly name: string;
  readonly names: SystemNames;
  /** Absolute path of the program, and its first arguments. */
  readonly exec: readonly string[];
  /** Milliseconds for one call. */
  readonly timeoutMs: number;
  /** How long the old board may finish what it began, milliseconds from the takeover on. */
  readonly drainMs: number;
}

type Verb = "set-up" | "attach" | "inspect" | "lease" | "settle" | "drain" | "fence" | "tear-down";

/** The program's exit code for a transaction of a daemon that is dead; beyond those of sysexits(3). */
export const staleExitCode = 79;
const maxOutputBytes = 64 * 1024;

/** What the program was told last, what it says, and where the two contradict each other. */
interface Look {
  /** `undefined`: it is not set up. */
  readonly place: Place | undefined;
  /** A sentence says why there is no answer. */
  readonly answer?: Answer | string;
  readonly complaint?: string | undefined;
}

export class ExecService implements LeasedService {
  readonly name: string;
  readonly #options: ExecOptions;
  readonly #memory: LeaseMemory;
  readonly #turns = new Turns();
  readonly #calls: GuardedCalls;
  readonly #repair = new SelfRepair();

  constructor(options: ExecOptions) {
    this.name = options.name;
    this.#options = options;
    this.#memory = new LeaseMemory(options.names, "exec", options.name);
    this.#calls = new GuardedCalls(this.#memory, `${this.name}: ${options.exec[0]}`, this.#turns);
  }

  async setUp(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#requireProgram();
    const { exec, timeoutMs, drainMs } = this.#options;
    await this.#memory.make({ exec, timeoutMs, drainMs });
    await mkdir(this.#programDirectory, { recursive: true, mode: 0o700 });
    await this.#make(["set-up"], { signal, place: "made" });
  }

  async attach(board: BoardName, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#requireSetUp("command-failed");
    await this.#make(["attach", board], { signal });
  }

  async inspect(): Promise<LeasedCondition> {
    const look = async (): Promise<Seen> => {
      const seen = await this.#look();
      return { condition: conditionOf(seen), isWrong: seen.complaint !== undefined };
    };
    return await this.#repair.inspect(look, () => this.#mend());
  }

  async lease(to: BoardName, epoch: number, signal: AbortSignal): Promise<void> {
    await this.#move({ verb: "lease", board: to, epoch }, signal);
  }

  async settle(board: BoardName | null, epoch: number, signal: AbortSignal): Promise<void> {
    await this.#move({ verb: "settle", board, epoch }, signal);
  }

  /** A program that cannot drain stops no takeover: what it says, or that it says nothing, is a remark. */
  async drain(
    board: BoardName,
    options: { readonly sinceMs: number; readonly atOnce?: boolean },
    signal: AbortSignal,
  ): Promise<LeasedDrain> {
    signal.throwIfAborted();
    const { timeoutMs, drainMs } = this.#options;
    const now = Date.now();
    const deadline = options.atOnce === true ? now : options.sinceMs + drainMs;
    const env = { TWINBOARD_SINCE: String(options.sinceMs), TWINBOARD_DEADLINE: String(deadline) };
    try {
      const limitMs = Math.max(0, deadline - now) + timeoutMs;
      const { stdout } = await this.#act(["drain", board], { env, signal, timeoutMs: limitMs });
      const drained = parseDrain(stdout);
      return typeof drained === "string" ? nothingDrained(`${this.name}: drain: ${drained}`) : drained;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TwinboardError) || error.code === "stale-epoch") throw error;
      return nothingDrained(`${this.name}: nothing was drained: ${error.message}`);
    }
  }

  async fence(board: BoardName): Promise<void> {
    const place = await this.#memory.read();
    if (place === undefined) return;
    if (expected(place) === board)
      throw new TwinboardError("internal", { detail: `${this.name}: fence of board ${board}, which holds` });
    await this.#act(["fence", board], {});
  }

  /** A program that is gone from the host cannot put anything back, and does not stand in the way of all else. */
  async tearDown(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const isSetUp = (await this.#memory.read()) !== undefined;
    if (isSetUp && (await this.#hasProgram())) await this.#make(["tear-down"], { signal, place: "gone" });
    await this.#turns.take(() => this.#memory.forget());
  }

  get #programDirectory(): string {
    return join(this.#memory.directory, "run");
  }

  async #requireSetUp(code: "command-failed" | "takeover-failed"): Promise<Place> {
    const place = await this.#memory.read();
    if (place === undefined) throw new TwinboardError(code, { detail: `${this.name} is not set up` });
    return place;
  }

  /** Errors: `missing-program`. */
  async #requireProgram(): Promise<void> {
    const [program = ""] = this.#options.exec;
    try {
      await access(program, constants.X_OK);
      if (!(await stat(program)).isFile()) throw new Error(`${program} is no file`);
    } catch (cause) {
      const { message } = cause as Error;
      throw new TwinboardError("missing-program", { detail: `${this.name}: ${message}`, cause });
    }
  }

  async #hasProgram(): Promise<boolean> {
    return await this.#requireProgram().then(
      () => true,
      () => false,
    );
  }

  async #move(place: Place, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { verb, board, epoch } = place;
    try {
      await this.#act([verb, board ?? "none"], { epoch, place: { verb, board }, signal });
      const answer = await this.#ask(signal);
      const complaint = typeof answer === "string" ? answer : differs(answer, place);
      if (complaint !== undefined)
        throw new TwinboardError("command-failed", { detail: `${this.name}: after ${verb}: ${complaint}` });
    } catch (cause) {
      signal.throwIfAborted();
      if (!(cause instanceof TwinboardError) || cause.code === "stale-epoch") throw cause;
      throw new TwinboardError("takeover-failed", { detail: cause.detail ?? cause.message, cause });
    }
  }

  async #look(): Promise<Look> {
    const place = await this.#memory.read();
    if (place === undefined) return { place };
    const answer = await this.#ask(undefined);
    return { place, answer, complaint: typeof answer === "string" ? undefined : differs(answer, place) };
  }

  /** What it was told last is told again, under the epoch that it was told with: a daemon since then has the last word. */
  async #mend(): Promise<void> {
    const result = await this.#calls.runWhenAlone(async () => {
      const { place, complaint } = await this.#look();
      if (place === undefined || complaint === undefined) return undefined;
      const { verb, board, epoch } = place;
      return this.#call([verb, board ?? "none"], { guard: { epoch }, place: { verb, board } });
    });
    if (result !== undefined) this.#demand(["settle"], result);
  }

  /** Asks the program; a sentence says why there is no answer. */
  async #ask(signal: AbortSignal | undefined): Promise<Answer | string> {
    try {
      const result = await this.#calls.run(this.#call(["inspect"], { guard: "look", signal }));
      return result.exitCode === 0 ? parseAnswer(result.stdout) : failureOf("inspect", result);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof TwinboardError)) throw error;
      return `inspect: ${error.message}`;
    }
  }

  async #make(words: readonly [Verb, ...string[]], more: Partial<GuardedCall>): Promise<void> {
    this.#demand(words, await this.#calls.run(this.#call(words, { ...more, guard: "make" })));
  }

  /** Only while no later daemon has told it anything: with the epoch of its last order, if the call has none of its own. */
  async #act(
    words: readonly [Verb, ...string[]],
    { epoch, ...more }: Partial<GuardedCall> & { readonly epoch?: number },
  ): Promise<GuardedResult> {
    const place = await this.#requireSetUp("takeover-failed");
    const guard = { epoch: epoch ?? place.epoch };
    return this.#demand(words, await this.#calls.run(this.#call(words, { ...more, guard })));
  }

  #call(
    words: readonly [Verb, ...string[]],
    { env, ...more }: Partial<GuardedCall> & Pick<GuardedCall, "guard">,
  ): GuardedCall {
    const { exec, names, timeoutMs } = this.#options;
    return {
      command: [...exec, ...words],
      env: {
        ...environmentOf(names, this.name, this.#programDirectory),
        ...(typeof more.guard === "string" ? {} : { TWINBOARD_EPOCH: String(more.guard.epoch) }),
        ...env,
      },
      timeoutMs,
      maxOutputBytes,
      ...more,
    };
  }

  #demand([verb]: readonly [Verb, ...string[]], result: GuardedResult): GuardedResult {
    if (result.exitCode === 0) return result;
    throw new TwinboardError(result.exitCode === staleExitCode ? "stale-epoch" : "command-failed", {
      detail: `${this.name}: ${failureOf(verb, result)}`,
    });
  }
}

function failureOf(verb: Verb, { exitCode, lastWords }: GuardedResult): string {
  return `${verb}: exit code ${exitCode}${lastWords === "" ? "" : `: ${lastWords}`}`;
}

/** Whom the program should say that it reaches. */
function expected({ verb, board }: Place): BoardName | null {
  return verb === "settle" ? board : null;
}

/** Where the program contradicts what it was told, as a sentence. What it is about may be gone, and then it reaches nobody. */
function differs({ holder, trouble }: Answer, place: Place): string | undefined {
  const told = expected(place);
  if (holder === told || (holder === null && trouble !== null)) return undefined;
  const says = holder === null ? "nobody has it" : `board ${holder} has it`;
  const wanted = told === null ? "nobody should" : `board ${told} should`;
  return `the program says that ${says}, and ${wanted}`;
}

function conditionOf({ place, answer = "", complaint }: Look): LeasedCondition {
  if (place === undefined) return notSetUp;
  const { epoch, verb, board } = place;
  const common = { present: true, epoch, leasedTo: verb === "lease" ? board : null };
  if (typeof answer === "string") return { ...common, holder: expected(place), trouble: answer };
  if (complaint === undefined) return { ...common, holder: expected(place), trouble: answer.trouble };
  return { ...common, holder: answer.holder, trouble: answer.trouble ?? complaint };
}

function nothingDrained(remark: string): LeasedDrain {
  return { left: 0, finished: 0, closedEarly: 0, cut: 0, remarks: [remark] };
}
