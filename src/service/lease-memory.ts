/**
 * What a leased service keeps beside it on the host, gone after a reboot: whom it was given to last, and the highest epoch. One line,
 * replaced as one step: `EPOCH settle a|b|none` or `EPOCH lease a|b`; no file: it is not set up.
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BoardName } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import { readFileIfThere, writeFileAtomically } from "../system/files.ts";
import type { SystemNames } from "../system/names.ts";

/** In the service's directory. */
export const placeFile = "place";

export interface Place {
  readonly epoch: number;
  readonly verb: "lease" | "settle";
  /** Of a lease: for whom. */
  readonly board: BoardName | null;
}

/** The kinds of services that keep a directory of their own. */
export type LeaseKind = "exec" | "device" | "can";

/** What a service was made from, in its directory: enough to take it down when no configuration has it any more. */
const specFile = "spec";

export class LeaseMemory {
  /** Mode 0700. */
  readonly directory: string;
  readonly #path: string;

  constructor({ runDirectory }: SystemNames, kind: LeaseKind, name: string) {
    this.directory = join(runDirectory, `${kind}-${name}`);
    this.#path = join(this.directory, placeFile);
  }

  /** `undefined`: the service is not set up. Errors: `internal` (somebody else wrote there). */
  async read(): Promise<Place | undefined> {
    const text = await readFileIfThere(this.#path);
    return text === undefined ? undefined : parsePlace(text, this.#path);
  }

  async write(place: Place): Promise<void> {
    await writeFileAtomically(this.#path, placeLine(place));
  }

  /** @param spec what the service is made from, as JSON can carry it. Repeatable. Errors: `need-root`. */
  async make(spec: unknown): Promise<void> {
    await this.#makeDirectory();
    await writeFileAtomically(join(this.directory, specFile), JSON.stringify(spec));
  }

  async #makeDirectory(): Promise<void> {
    try {
      await mkdir(this.directory, { recursive: true, mode: 0o700 });
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code !== "EACCES" && code !== "EPERM") throw cause;
      throw new TwinboardError("need-root", { detail: message, cause });
    }
  }

  /** Repeatable. */
  async forget(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

export interface FormerLease {
  readonly kind: LeaseKind;
  readonly name: string;
  /** What it was made from. */
  readonly spec: unknown;
}

/** Of all services that are set up on this host, besides those that a configuration has: what each was made from. */
export async function formerLeases(
  { runDirectory }: SystemNames,
  kept: readonly { readonly kind: LeaseKind; readonly name: string }[],
): Promise<FormerLease[]> {
  const found: FormerLease[] = [];
  for (const entry of await readdir(runDirectory).catch(() => [])) {
    const [, kind, name = ""] = /^(exec|device|can)-([a-z][a-z0-9-]{0,31})$/.exec(entry) ?? [];
    if (kind !== "exec" && kind !== "device" && kind !== "can") continue;
    if (kept.some((one) => one.kind === kind && one.name === name)) continue;
    const text = await readFileIfThere(join(runDirectory, entry, specFile));
    if (text !== undefined) found.push({ kind, name, spec: JSON.parse(text) as unknown });
  }
  return found;
}

export function placeLine({ epoch, verb, board }: Place): string {
  return `${epoch} ${verb} ${board ?? "none"}\n`;
}

/** Errors: `internal`. */
export function parsePlace(text: string, path: string): Place {
  const [, epoch = "", verb, board] = /^(\d{1,15}) (lease|settle) (a|b|none)\n$/.exec(text) ?? [];
  if (verb === undefined || (verb === "lease" && board === "none"))
    throw new TwinboardError("internal", { detail: `${path} does not say where the service is` });
  return {
    epoch: Number(epoch),
    verb: verb === "lease" ? "lease" : "settle",
    board: board === "a" || board === "b" ? board : null,
  };
}
