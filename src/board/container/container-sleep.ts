/** A container's way to sleep and back. Whoever calls has found that it lives. */
import type { Confinement } from "../confinement.ts";
import type { ContainerCards } from "./container-cards.ts";
import type { ContainerGroup } from "./container-group.ts";
import type { ContainerWatch } from "./container-watch.ts";

export interface ContainerSleepOptions {
  readonly group: ContainerGroup;
  readonly confinement: Confinement;
  readonly cards: ContainerCards;
  readonly watch: ContainerWatch;
  /** It gives back what memory it can spare, once it sleeps. */
  readonly isLean: boolean;
}

const openTimeoutMs = 5000;

export class ContainerSleep {
  readonly #options: ContainerSleepOptions;

  constructor(options: ContainerSleepOptions) {
    this.#options = options;
  }

  /**
   * Errors: `missing-kernel-feature`, `cgroup-unwritable`, `deadline-passed` (a process does not leave the kernel), `command-failed`; the signal's
   * reason. Then the container works and hears as before.
   */
  async lay(signal: AbortSignal): Promise<void> {
    const { group, confinement, cards, watch, isLean } = this.#options;
    watch.rest();
    try {
      await cards.shut(signal);
      await group.freeze(signal);
      if (isLean) await confinement.reclaim(signal);
    } catch (error) {
      watch.wake();
      await cards.open(AbortSignal.timeout(openTimeoutMs)).catch(() => undefined);
      throw error;
    }
  }

  /** Errors: `missing-kernel-feature`, `cgroup-unwritable`, `command-failed`; the signal's reason. */
  async wake(signal: AbortSignal): Promise<void> {
    const { group, cards, watch } = this.#options;
    // Side by side: what comes from the moment on that it was told to run is for a board that does.
    await Promise.all([group.thaw(), cards.open(signal)]);
    watch.wake();
  }
}
