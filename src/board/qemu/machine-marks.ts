/** What a daemon writes down beside a machine, for the next daemon: that it sleeps, and what it died of. Each names its instance. */
import { rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { readFileIfThere, writeFileAtomically } from "../../system/files.ts";
import type { MachineProcess } from "./machine-process.ts";
import type { Death } from "./session.ts";

type Instance = Pick<MachineProcess, "instance">;

export class MachineMarks {
  readonly #dormantPath: string;
  readonly #deathPath: string;

  constructor(directory: string) {
    this.#dormantPath = join(directory, "dormant");
    this.#deathPath = join(directory, "death");
  }

  async isDormant({ instance }: Instance): Promise<boolean> {
    return (await readFileIfThere(this.#dormantPath)) === instance;
  }

  async setDormant({ instance }: Instance): Promise<void> {
    await writeFileAtomically(this.#dormantPath, instance);
  }

  /** At once: a board that is to serve waits for it. */
  clearDormant(): void {
    rmSync(this.#dormantPath, { force: true });
  }

  async death({ instance }: Instance): Promise<Death | undefined> {
    const text = await readFileIfThere(this.#deathPath);
    const death = text === undefined ? undefined : (JSON.parse(text) as Death & Instance);
    return death?.instance === instance ? { cause: death.cause, detail: death.detail } : undefined;
  }

  async setDeath({ instance }: Instance, { cause, detail }: Death): Promise<void> {
    await writeFileAtomically(this.#deathPath, JSON.stringify({ instance, cause, detail }));
  }

  /** For a machine that is about to start. */
  async clear(): Promise<void> {
    this.clearDormant();
    await rm(this.#deathPath, { force: true });
  }
}
