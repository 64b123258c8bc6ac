/**
 * A leased service that is a device of the host (docs/devices.md): a disk or a USB device that is plugged into the holder and into no
 * other board. Whom it was given to is written down on the host; who has it is read from the kernel.
 */
import { join } from "node:path";
import { type Board, type BoardName, boardNames } from "../../board/board.ts";
import { TwinboardError } from "../../errors.ts";
import { readFileIfThere, writeFileAtomically } from "../../system/files.ts";
import type { SystemNames } from "../../system/names.ts";
import { Turns } from "../../system/turns.ts";
import { LeaseMemory, type Place } from "../lease-memory.ts";
import { type LeasedCondition, type LeasedDrain, type LeasedService, notSetUp } from "../leased.ts";
import { type Seen, SelfRepair } from "../self-repair.ts";
import { DeviceNode } from "./device-node.ts";
import { type DeviceMatch, findHostDevice, nameOf } from "./host-device.ts";

export interface DeviceOptions {
  readonly name: string;
  readonly names: SystemNames;
  readonly device: DeviceMatch;
  readonly boards: Readonly<
    Record<BoardName, Pick<Board, "inspect" | "plugged" | "plug" | "unplug" | "stop" | "subscribe">>
  >;
  /** The group that boards' processes run as. */
  readonly gid: number;
  /** Milliseconds in which a board lets go of it, and in which one takes it. */
  readonly timeoutMs: number;
}

/** Which one the holder was given, in the service's directory. */
const givenFile = "given";

export class DeviceService implements LeasedService {
  readonly name: string;
  readonly #options: DeviceOptions;
  readonly #memory: LeaseMemory;
  readonly #node: DeviceNode;
  readonly #turns = new Turns();
  readonly #remarks: Record<BoardName, string[]> = { a: [], b: [] };
  readonly #repair = new SelfRepair();
  /** Boards that were heard to hang: what hung once is not trusted to let go. */
  readonly #hung = new Set<BoardName>();

  constructor(options: DeviceOptions) {
    this.name = options.name;
    this.#options = options;
    this.#memory = new LeaseMemory(options.names, "device", options.name);
    this.#node = new DeviceNode(options.names.deviceNode(options.name), options.gid);
    for (const board of boardNames)
      options.boards[board].subscribe(({ type }) => {
        if (type === "hung") this.#hung.add(board);
        if (type === "ready") this.#hung.delete(board);
      });
  }

  async setUp(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#turns.take(async () => {
      await this.#node.makeDirectory();
      const { device, timeoutMs } = this.#options;
      await this.#memory.make({ device, timeoutMs });
      if ((await this.#memory.read()) === undefined)
        await this.#memory.write({ epoch: 0, verb: "settle", board: null });
    });
  }

  /** A board that boots has nothing plugged in; what it holds is given to it once it runs, by the next look. */
  async attach(_board: BoardName, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await Promise.resolve();
  }

  async inspect(): Promise<LeasedCondition> {
    const look = async (): Promise<Seen> => {
      const seen = await this.#look();
      return { condition: conditionOf(seen), isWrong: seen.wrong !== undefined };
    };
    return await this.#repair.inspect(look, () => this.#mend());
  }

  async lease(to: BoardName, epoch: number, signal: AbortSignal): Promise<void> {
    await this.#move({ verb: "lease", board: to, epoch }, signal);
  }

  async settle(board: BoardName | null, epoch: number, signal: AbortSignal): Promise<void> {
    await this.#move({ verb: "settle", board, epoch }, signal);
  }

  /** What a board was writing has been written when it let go of the device. */
  async drain(
    board: BoardName,
    _options: { readonly sinceMs: number; readonly atOnce?: boolean },
    signal: AbortSignal,
  ): Promise<LeasedDrain> {
    signal.throwIfAborted();
    const remarks = this.#remarks[board].splice(0);
    return await Promise.resolve({ left: 0, finished: 0, closedEarly: 0, cut: 0, remarks });
  }

  async fence(board: BoardName): Promise<void> {
    await this.#turns.take(async () => {
      const place = await this.#memory.read();
      if (place === undefined) return;
      if (expected(place) === board)
        throw new TwinboardError("internal", {
          detail: `${this.name}: fence of board ${board}, which holds`,
        });
      await this.#takeFrom(board);
    });
  }

  async tearDown(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#turns.take(async () => {
      for (const board of boardNames) await this.#takeFrom(board, signal);
      await this.#node.remove();
      await this.#memory.forget();
    });
  }

  async #move(place: Place, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#turns.take(async () => {
      signal.throwIfAborted();
      await this.#admit(place.epoch);
      try {
        await this.#make(place, signal);
      } catch (cause) {
        signal.throwIfAborted();
        const { message } = cause as Error;
        throw new TwinboardError("takeover-failed", { detail: `${this.name}: ${message}`, cause });
      }
      await this.#memory.write(place);
    });
  }

  /** Remembers the epoch. Errors: `stale-epoch`, `takeover-failed`. */
  async #admit(epoch: number): Promise<void> {
    const known = await this.#memory.read();
    if (known === undefined)
      throw new TwinboardError("takeover-failed", { detail: `${this.name} is not set up` });
    if (epoch < known.epoch)
      throw new TwinboardError("stale-epoch", {
        detail: `${this.name}: epoch ${epoch}, it knows ${known.epoch}`,
      });
    await this.#memory.write({ ...known, epoch });
  }

  /** First no other board has it, then its holder has, if that can be. */
  async #make(place: Place, signal?: AbortSignal): Promise<void> {
    const to = expected(place);
    for (const board of boardNames) if (board !== to) await this.#takeFrom(board, signal);
    if (to !== null) await this.#giveTo(to, signal);
  }

  async #mend(): Promise<void> {
    await this.#turns.take(async () => {
      const { place, wrong } = await this.#look();
      if (place !== undefined && wrong !== undefined) await this.#make(place);
    });
  }

  /** A board that cannot be asked, and one that hangs, are ended: the device is free with the process. */
  async #takeFrom(board: BoardName, signal?: AbortSignal): Promise<void> {
    const driver = this.#options.boards[board];
    if (!(await driver.plugged()).includes(this.name)) return;
    const { state } = await driver.inspect();
    const deadline = this.#deadline(signal);
    if (state === "running" && !this.#hung.has(board)) {
      try {
        return await driver.unplug(this.name, deadline);
      } catch (error) {
        signal?.throwIfAborted();
        throw deadline.aborted ? this.#reluctant(board, error) : error;
      }
    }
    const how = state === "running" ? "hung" : `was ${state}`;
    this.#remarks[board].push(`${this.name}: board ${board} ${how}, could not let go of it and was ended`);
    await driver.stop(deadline);
  }

  /** Nothing is given to a board that does not run, nor while the device is not there: the next look finds both. */
  async #giveTo(board: BoardName, signal?: AbortSignal): Promise<void> {
    const { boards, device } = this.#options;
    const driver = boards[board];
    if ((await driver.inspect()).state !== "running") return;
    const has = (await driver.plugged()).includes(this.name);
    const found = await findHostDevice(device, has);
    if (typeof found === "string") return;
    if (has) {
      if ((await this.#given()) === found.identity) return;
      await driver.unplug(this.name, this.#deadline(signal));
    }
    await this.#node.whileOpen(found, () =>
      driver.plug({ id: this.name, kind: device.kind }, this.#deadline(signal)),
    );
    await writeFileAtomically(join(this.#memory.directory, givenFile), found.identity);
  }

  async #given(): Promise<string | undefined> {
    return await readFileIfThere(join(this.#memory.directory, givenFile));
  }

  #deadline(signal: AbortSignal | undefined): AbortSignal {
    const limit = AbortSignal.timeout(this.#options.timeoutMs);
    return signal === undefined ? limit : AbortSignal.any([signal, limit]);
  }

  #reluctant(board: BoardName, cause: unknown): TwinboardError {
    const detail = `board ${board} did not let go of ${nameOf(this.#options.device)} within ${this.#options.timeoutMs} ms`;
    return new TwinboardError("deadline-passed", { detail, cause });
  }

  /** What is, and what is wrong with it: `wrong` may be mended, `trouble` alone cannot. */
  async #look(): Promise<Look> {
    const place = await this.#memory.read();
    if (place === undefined) return { place };
    const { boards, device } = this.#options;
    const have: BoardName[] = [];
    for (const board of boardNames) if ((await boards[board].plugged()).includes(this.name)) have.push(board);
    const to = expected(place);
    const other = have.find((board) => board !== to);
    if (other !== undefined) {
      const wrong = `board ${other} has ${nameOf(device)}, and ${to === null ? "nobody" : `board ${to}`} should`;
      return { place, has: other, wrong, trouble: wrong };
    }
    const found = await findHostDevice(device, have.length > 0);
    if (typeof found === "string") return { place, trouble: found };
    if (to === null) return { place };
    if (have.length > 0 && (await this.#given()) === found.identity) return { place };
    const { state } = await boards[to].inspect();
    if (state !== "running") return { place, trouble: `board ${to}, which holds it, is ${state}` };
    const wrong = `board ${to} has not got ${nameOf(device)}`;
    return { place, wrong, trouble: wrong };
  }
}

interface Look {
  /** `undefined`: it is not set up. */
  readonly place: Place | undefined;
  /** The board that has it against what was meant. */
  readonly has?: BoardName;
  readonly wrong?: string;
  readonly trouble?: string;
}

function expected({ verb, board }: Place): BoardName | null {
  return verb === "settle" ? board : null;
}

function conditionOf({ place, has, trouble }: Look): LeasedCondition {
  if (place === undefined) return notSetUp;
  const { epoch, verb, board } = place;
  const leasedTo = verb === "lease" ? board : null;
  return { present: true, holder: has ?? expected(place), leasedTo, epoch, trouble: trouble ?? null };
}
