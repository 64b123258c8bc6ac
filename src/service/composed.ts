/**
 * All services of a system as one: the network's switch, whose transaction is the commit point of a takeover, and what is leased before it
 * and settled by it. The leased services follow the network's holder: whatever is found otherwise is put right by settling it again.
 */
import { type BoardName, boardNames } from "../board/board.ts";
import { asTwinboardError, TwinboardError } from "../errors.ts";
import { orAborted } from "../system/abort.ts";
import type { LeasedService } from "./leased.ts";
import type {
  DrainCounts,
  DrainOptions,
  DrainProgress,
  DrainResult,
  Service,
  ServiceCondition,
  Trouble,
} from "./service.ts";

/** For what is given back after a takeover that failed, whose own signal may have aborted. */
const giveBackTimeoutMs = 5000;
/** Where nobody serves, the network waits no longer than this in each step, prepare and hand over, for what is leased: a program that hangs follows when it can. */
const partlyWaitMs = 500;

export class ComposedService implements Service {
  readonly #network: Service;
  readonly #leased: readonly LeasedService[];

  constructor(network: Service, leased: readonly LeasedService[]) {
    this.#network = network;
    this.#leased = leased;
  }

  get pastHost(): boolean {
    return this.#network.pastHost;
  }

  async setUp(signal: AbortSignal): Promise<void> {
    await this.#network.setUp(signal);
    // One that cannot be set up is a trouble, tried again: the network would otherwise be kept from whoever could serve.
    for (const service of this.#leased) await service.setUp(signal).catch(() => signal.throwIfAborted());
    await this.#catchUp();
    await this.#follow(signal).catch(() => signal.throwIfAborted());
  }

  async attach(board: BoardName, signal: AbortSignal): Promise<void> {
    await this.#network.attach(board, signal);
    const { holder } = await this.#network.inspect();
    for (const service of this.#leased)
      await service.attach(board, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        // While nobody serves a board without it is better than none.
        if (holder !== null) throw error;
      });
  }

  inspect(): Promise<ServiceCondition> {
    return this.#network.inspect();
  }

  raiseEpoch(above?: number): Promise<number> {
    return this.#network.raiseEpoch(above);
  }

  /** Where somebody took the network's rules away its epoch has begun anew, and what is leased remembers a higher one. */
  async #catchUp(): Promise<void> {
    const { present, epoch } = await this.#network.inspect();
    const conditions = await Promise.allSettled(this.#leased.map((service) => service.inspect()));
    const epochs = conditions.map((one) => (one.status === "fulfilled" ? one.value.epoch : 0));
    const highest = Math.max(0, ...epochs);
    if (present && highest > epoch) await this.#network.raiseEpoch(highest);
  }

  async prepare(to: BoardName, signal: AbortSignal, options?: { readonly partly?: boolean }): Promise<void> {
    const within = waitOf(signal, options?.partly);
    // What cannot be set up cannot be leased, and that says why.
    for (const service of this.#leased)
      await orAborted(this.#ready(service, within), within).catch(() => signal.throwIfAborted());
    await this.#network.prepare(to, signal, options);
  }

  /** Whatever carried it may have been killed, or a `down` have come half-way. */
  async #ready(service: LeasedService, signal: AbortSignal): Promise<void> {
    if ((await service.inspect()).present) return;
    await service.setUp(signal);
    for (const board of boardNames) await service.attach(board, signal);
  }

  async handOver(
    to: BoardName,
    signal: AbortSignal,
    { partly = false }: { readonly partly?: boolean } = {},
  ): Promise<{ readonly ms: number }> {
    // Only a lease has to know the epoch beforehand, and to ask for it is a third of the time that a takeover takes.
    if (this.#leased.length === 0) return await this.#network.handOver(to, signal);
    const { holder, epoch } = await this.#network.inspect();
    const whatCan = (error: unknown): void => {
      signal.throwIfAborted();
      if (!partly) throw error;
    };
    let taken: { readonly ms: number };
    try {
      const within = waitOf(signal, partly);
      if (holder !== to) await orAborted(this.#leaseAll(to, epoch, within), within).catch(whatCan);
      taken = await this.#network.handOver(to, signal);
    } catch (error) {
      await this.#giveBack();
      throw error;
    }
    await this.#follow(signal).catch(whatCan);
    return taken;
  }

  /** Errors: what the first one that could not be leased said; the others are leased. */
  async #leaseAll(to: BoardName, epoch: number, signal: AbortSignal): Promise<void> {
    await each(this.#leased, (service) => service.lease(to, epoch, signal));
  }

  /** As far as it goes: what cannot be given back now is a trouble, and mended later. */
  async #giveBack(): Promise<void> {
    await this.#follow(AbortSignal.timeout(giveBackTimeoutMs)).catch(() => undefined);
  }

  /** Every leased service becomes the holder's. Errors: those of the first that could not be settled; the others were. */
  async #follow(signal: AbortSignal): Promise<void> {
    if (this.#leased.length === 0) return;
    const { present, holder, epoch } = await this.#network.inspect();
    if (!present) return;
    await each(this.#leased, (service) => service.settle(holder, epoch, signal));
  }

  async release(signal: AbortSignal): Promise<void> {
    await this.#network.release(signal);
    // What cannot be given back is a trouble, and stands in nobody's way.
    await this.#follow(signal).catch(() => signal.throwIfAborted());
  }

  async drain(board: BoardName, options: DrainOptions, signal: AbortSignal): Promise<DrainResult> {
    const { onProgress, ...when } = options;
    const counts: Record<string, DrainCounts> = {};
    // Before it has told anything, a sum would tell that nothing is left.
    let last: DrainProgress | undefined;
    const tell = (progress: DrainProgress): void => {
      last = progress;
      onProgress?.(together(progress, counts));
    };
    // One that fails ends the others: a drain that is given up is asked for again as a whole.
    const ending = new AbortController();
    const within = AbortSignal.any([signal, ending.signal]);
    const remarks: string[] = [];
    const works = this.#leased.map(async (service) => {
      const { remarks: said, ...counted } = await service.drain(board, when, within);
      remarks.push(...said);
      // Most have nothing to finish, and are nothing to tell of.
      if (Object.values(counted).every((count) => count === 0)) return;
      counts[service.name] = counted;
      if (last !== undefined) onProgress?.(together(last, counts));
    });
    const network = this.#network.drain(board, { ...when, onProgress: tell }, within);
    const all = [network, ...works];
    for (const work of all) work.catch((error: unknown) => ending.abort(error));
    await Promise.allSettled(all);
    signal.throwIfAborted();
    await Promise.all(works);
    const drained = await network;
    return { ...drained, ...together(drained, counts), remarks: [...drained.remarks, ...remarks] };
  }

  async fence(board: BoardName): Promise<void> {
    await this.#network.fence(board);
    const { holder, epoch } = await this.#network.inspect();
    // One that cannot be fenced leaves none of the others open.
    await each(this.#leased, async (service) => {
      // One that could not follow the takeover may have stayed behind.
      if ((await service.inspect()).holder === board)
        await service.settle(holder, epoch, AbortSignal.timeout(giveBackTimeoutMs));
      await service.fence(board);
    });
  }

  async troubles(): Promise<readonly Trouble[]> {
    const { holder } = await this.#network.inspect();
    const found = this.#leased.map((service) => troublesOf(service, holder));
    return [...(await this.#network.troubles()), ...(await Promise.all(found)).flat()];
  }

  async mend(signal: AbortSignal): Promise<void> {
    await this.#network.mend(signal);
    await this.#catchUp();
    const { present, holder, epoch } = await this.#network.inspect();
    if (!present) return;
    await each(this.#leased, async (service) => {
      await this.#ready(service, signal);
      const condition = await service.inspect();
      if (condition.leasedTo !== null || condition.holder !== holder)
        await service.settle(holder, epoch, signal);
    });
  }

  wireObstacle(board: BoardName): Promise<string | null> {
    return this.#network.wireObstacle(board);
  }

  watchWire(board: BoardName, onChange: (obstacle: string | null) => void): () => void {
    return this.#network.watchWire(board, onChange);
  }

  /** Everything is tried; the network last, because it says that the system is there at all. Errors: the first of those that failed. */
  async tearDown(signal: AbortSignal): Promise<void> {
    const failed: unknown[] = [];
    for (const service of this.#leased)
      await service.tearDown(signal).catch((error: unknown) => void failed.push(error));
    signal.throwIfAborted();
    await this.#network.tearDown(signal);
    if (failed.length > 0) throw failed[0];
  }
}

function waitOf(signal: AbortSignal, partly = false): AbortSignal {
  return partly ? AbortSignal.any([signal, AbortSignal.timeout(partlyWaitMs)]) : signal;
}

function together(network: DrainProgress, leased: Readonly<Record<string, DrainCounts>>): DrainProgress {
  const all = [network, ...Object.values(leased)];
  const sum = (key: keyof DrainCounts): number => all.reduce((total, counts) => total + counts[key], 0);
  return {
    left: sum("left"),
    finished: sum("finished"),
    closedEarly: sum("closedEarly"),
    cut: sum("cut"),
    services: { ...network.services, ...leased },
  };
}

async function troublesOf(service: LeasedService, holder: BoardName | null): Promise<Trouble[]> {
  const { name } = service;
  const lost = (what: string): Trouble => ({ service: name, what, mendable: true });
  try {
    const found = await service.inspect();
    if (!found.present) return [lost("it is not set up")];
    const itself = found.trouble === null ? [] : [{ service: name, what: found.trouble, mendable: false }];
    if (found.leasedTo !== null)
      return [...itself, lost(`it waits for board ${found.leasedTo} to take over`)];
    if (found.holder === holder) return itself;
    return [...itself, lost(`it is ${owner(found.holder)}'s, and ${owner(holder)} is in service`)];
  } catch (error) {
    return [lost(asTwinboardError(error).message)];
  }
}

function owner(board: BoardName | null): string {
  return board === null ? "nobody" : `board ${board}`;
}

/** All at once. Errors: those of the first that failed, with its name, when all have ended. */
async function each(
  services: readonly LeasedService[],
  work: (service: LeasedService) => Promise<void>,
): Promise<void> {
  const named = services.map((service) => work(service).catch((error: unknown) => fail(service, error)));
  const failed = (await Promise.allSettled(named)).find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

function fail(service: LeasedService, cause: unknown): never {
  const error = asTwinboardError(cause);
  if (error.code !== "takeover-failed" && error.code !== "stale-epoch") throw cause;
  throw new TwinboardError(error.code, {
    detail: `${service.name}: ${error.detail ?? error.message}`,
    cause,
  });
}
