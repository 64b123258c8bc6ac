/**
 * What a leased service keeps beside it on the host, gone after a reboot: whom it was given to last, and the highest epoch. One line,
 * replaced as one step: `EPOCH settle a|b|none` or `EPOCH lease a|b`; no file: it is not set up.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BoardName } from "../board/board.ts";
import { TwinboardError } from "../errors.ts";
import { readFileIfThere, writeFileAtomically } from "../system/files.ts";

/** In the service's directory. */
export const placeFile = "place";

export interface Place {
  readonly epoch: number;
  readonly verb: "lease" | "settle";
  /** Of a lease: for whom. */
  readonly board: BoardName | null;
}

export class LeaseMemory {
  /** Mode 0700. */
  readonly directory: string;
  readonly #path: string;

  constructor(directory: string) {
    this.directory = directory;
    this.#path = join(directory, placeFile);
  }

  /** `undefined`: the service is not set up. Errors: `internal` (somebody else wrote there). */
  async read(): Promise<Place | undefined> {
    const text = await readFileIfThere(this.#path);
    return text === undefined ? undefined : parsePlace(text, this.#path);
  }

  async write(place: Place): Promise<void> {
    await writeFileAtomically(this.#path, placeLine(place));
  }

  /** Repeatable. Errors: `need-root`. */
  async makeDirectory(): Promise<void> {
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
