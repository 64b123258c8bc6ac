/**
 * A leased service that is a CAN bus (docs/devices.md): each board has a card of its own, and rules of the kernel's CAN gateway join the
 * holder's to the bus. Nothing waits: while it is leased both boards hear the bus, and none speaks.
 */
import { type BoardName, boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { cardState, cards } from "../../system/ip.ts";
import { run } from "../../system/process.ts";
import { Turns } from "../../system/turns.ts";
import { type GuardedCall, GuardedCalls, type GuardedResult } from "../guarded-call.ts";
import { LeaseMemory, type Place } from "../lease-memory.ts";
import { type LeasedCondition, type LeasedDrain, type LeasedService, notSetUp } from "../leased.ts";
import { type Seen, SelfRepair } from "../self-repair.ts";
import { type CanRule, type CanWires, isAt, parseRules, speaker, stepsTo } from "./rules.ts";

export type CanOptions = CanWires;

const timeoutMs = 10_000;
const maxOutputBytes = 1024 * 1024;

/** Each argument is a step. The gateway keeps a rule as often as it is added: once is what is meant. */
const script = `set -f
count() { cangw -L | grep -cF -- " -A $rule #"; }
for step; do
  rule=\${step#? }
  case $step in
    +*) wanted=1 ;;
    *) wanted=0 ;;
  esac
  there=$(count)
  while [ "$there" -gt "$wanted" ]; do cangw -D $rule || exit; there=$(count); done
  [ "$there" -ge "$wanted" ] || cangw -A $rule || exit
done`;

/** What cangw(1) ends with where the kernel answers with routes of another kind. */
const noGatewayExitCode = 36;

export class CanService implements LeasedService {
  readonly name: string;
  readonly #wires: CanOptions;
  readonly #memory: LeaseMemory;
  readonly #calls: GuardedCalls;
  readonly #repair = new SelfRepair();

  constructor(options: CanOptions) {
    this.name = options.name;
    this.#wires = options;
    this.#memory = new LeaseMemory(options.names, "can", options.name);
    this.#calls = new GuardedCalls(this.#memory, this.name, new Turns());
  }

  /** Errors: `missing-program`, `missing-kernel-feature`, `need-root`. */
  async setUp(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // Where it is built in there is nothing to load.
    await run("modprobe", ["-q", "can-gw"], { signal, allowedExitCodes: [1] });
    await this.#rules();
    for (const board of boardNames) await this.#makeCard(board, signal);
    const { bus, fd } = this.#wires;
    await this.#memory.make({ bus, fd });
    this.#demand(await this.#calls.run(this.#call([], { guard: "make", place: "made", signal })));
  }

  async attach(board: BoardName, signal: AbortSignal): Promise<void> {
    await this.#makeCard(board, signal);
  }

  async inspect(): Promise<LeasedCondition> {
    const look = async (): Promise<Seen> => {
      const seen = await this.#look();
      return { condition: conditionOf(seen), isWrong: seen.wrong === true };
    };
    return await this.#repair.inspect(look, () => this.#mend());
  }

  async lease(to: BoardName, epoch: number, signal: AbortSignal): Promise<void> {
    await this.#move({ verb: "lease", board: to, epoch }, signal);
  }

  async settle(board: BoardName | null, epoch: number, signal: AbortSignal): Promise<void> {
    await this.#move({ verb: "settle", board, epoch }, signal);
  }

  /** A frame is sent or it is not. */
  async drain(
    _board: BoardName,
    _options: { readonly sinceMs: number; readonly atOnce?: boolean },
    signal: AbortSignal,
  ): Promise<LeasedDrain> {
    signal.throwIfAborted();
    return await Promise.resolve({ left: 0, finished: 0, closedEarly: 0, cut: 0, remarks: [] });
  }

  /** Whoever was not settled on has no rule already; what somebody else gave him is taken away. */
  async fence(board: BoardName): Promise<void> {
    const place = await this.#memory.read();
    if (place?.verb === "settle" && place.board === board)
      throw new TwinboardError("internal", { detail: `${this.name}: fence of board ${board}, which holds` });
    await this.#mend();
  }

  async tearDown(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // With the card go its rules (the kernel's cgw_notifier), and the other end of the pair.
    const there = await cards();
    for (const board of boardNames) {
      const card = this.#wires.names.canCard(board, this.name, "host");
      if (there.has(card)) await run("ip", ["link", "delete", "dev", card], { signal });
    }
    await this.#memory.forget();
  }

  async #move(place: Place, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    try {
      if ((await this.#memory.read()) === undefined)
        throw new TwinboardError("takeover-failed", { detail: `${this.name} is not set up` });
      const steps = await this.#stepsTo(place);
      this.#demand(
        await this.#calls.run(this.#call(steps, { guard: { epoch: place.epoch }, place, signal })),
      );
    } catch (cause) {
      signal.throwIfAborted();
      if (!(cause instanceof TwinboardError) || cause.code === "stale-epoch") throw cause;
      throw new TwinboardError("takeover-failed", { detail: cause.detail ?? cause.message, cause });
    }
  }

  /** Without the bus there is nothing to join, and the next look finds it. */
  async #stepsTo(place: Place): Promise<string[]> {
    return (await cards()).has(this.#wires.bus) ? stepsTo(this.#wires, place) : [];
  }

  /** Makes it so again, where it was left last and under the epoch of that. */
  async #mend(): Promise<void> {
    const result = await this.#calls.runWhenAlone(async () => {
      const { place, wrong } = await this.#look();
      if (place === undefined || wrong !== true) return undefined;
      return this.#call(await this.#stepsTo(place), { guard: { epoch: place.epoch } });
    });
    if (result !== undefined) this.#demand(result);
  }

  #demand({ exitCode, lastWords }: GuardedResult): void {
    if (exitCode === 0) return;
    const detail = `${this.name}: cangw: exit code ${exitCode}: ${lastWords}`;
    throw new TwinboardError("command-failed", { detail });
  }

  #call(steps: readonly string[], more: Pick<GuardedCall, "guard" | "place" | "signal">): GuardedCall {
    const command = ["sh", "-c", script, "twinboard-can", ...steps];
    const env = { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin" };
    return { command, env, timeoutMs, maxOutputBytes, ...more };
  }

  /** Errors: `missing-program`, `missing-kernel-feature`. */
  async #rules(): Promise<readonly CanRule[]> {
    const { stdout } = await run("cangw", ["-L"], {
      maxOutputBytes,
      allowedExitCodes: [noGatewayExitCode],
    });
    const rules = parseRules(stdout.toString());
    if (rules !== undefined) return rules;
    throw new TwinboardError("missing-kernel-feature", { detail: "the CAN gateway (CONFIG_CAN_GW)" });
  }

  async #makeCard(board: BoardName, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { names } = this.#wires;
    const [host, inner] = [names.canCard(board, this.name, "host"), names.canCard(board, this.name, "board")];
    if (!(await cards()).has(host))
      await run("ip", ["link", "add", host, "type", "vxcan", "peer", "name", inner], { signal });
    for (const card of [host, inner]) await run("ip", ["link", "set", "dev", card, "up"], { signal });
  }

  async #look(): Promise<Look> {
    const place = await this.#memory.read();
    if (place === undefined) return { place };
    const { bus } = this.#wires;
    const state = await cardState(bus);
    if (state === undefined) return { place, trouble: `${bus} is not there` };
    const rules = await this.#rules().catch((error: unknown) => (error as Error).message);
    if (typeof rules === "string") return { place, trouble: rules };
    const speaks = speaker(this.#wires, rules);
    if (!isAt(this.#wires, rules, place))
      return {
        place,
        speaks,
        wrong: true,
        trouble: `the rules that join ${bus} to a board are not as they were made`,
      };
    return { place, ...(state === "down" ? { trouble: `${bus} is down` } : {}) };
  }
}

interface Look {
  /** `undefined`: it is not set up. */
  readonly place: Place | undefined;
  /** Against what was meant. */
  readonly speaks?: BoardName | null;
  readonly wrong?: true;
  readonly trouble?: string;
}

function conditionOf({ place, speaks, trouble }: Look): LeasedCondition {
  if (place === undefined) return notSetUp;
  const { epoch, verb, board } = place;
  const holder = verb === "settle" ? board : null;
  const leasedTo = verb === "lease" ? board : null;
  return {
    present: true,
    holder: speaks === undefined ? holder : speaks,
    leasedTo,
    epoch,
    trouble: trouble ?? null,
  };
}
