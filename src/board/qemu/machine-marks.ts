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
    return (await this.#dormant())[0] === instance;
  }

  /** Processor time, ns, that it had used when it had come to rest; `undefined` if that is not known. */
  async cpuNsAtRest({ instance }: Instance): Promise<number | undefined> {
    const [of, cpuNs] = await this.#dormant();
    return of === instance && cpuNs !== undefined ? Number(cpuNs) : undefined;
  }

  /** @param cpuNs what it has used, once it has come to rest. */
  async setDormant({ instance }: Instance, cpuNs?: number): Promise<void> {
    await writeFileAtomically(this.#dormantPath, cpuNs === undefined ? instance : `${instance} ${cpuNs}`);
  }

  async #dormant(): Promise<string[]> {
    return ((await readFileIfThere(this.#dormantPath)) ?? "").split(" ");
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
