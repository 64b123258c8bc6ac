/** What became of the flows of a drain, by service: told from what the kernel said of each, never from what was intended. */
import type { DrainCounts, DrainProgress } from "../service.ts";

/** What is to be known of a flow to tell what became of it. */
export interface Drained {
  readonly id: number;
  readonly service: { readonly name: string };
  readonly state: string;
  readonly closed: boolean;
  readonly early: boolean;
  readonly over: boolean;
}

interface Seen {
  readonly service: string;
  fate: "finished" | "closedEarly" | "cut";
}

export class Tally {
  readonly #services: readonly string[];
  readonly #seen = new Map<number, Seen>();
  #left: ReadonlySet<number> = new Set();

  constructor(services: readonly { readonly name: string }[]) {
    this.#services = services.map(({ name }) => name);
  }

  /** A look at all flows. One that was over when it was first seen ended before this drain. */
  note(flows: readonly Drained[]): void {
    const left = flows.filter(({ over }) => !over);
    for (const { id, service, state } of left) {
      // A handshake that the board never answered is no flow yet: forgotten, it begins anew with the new holder.
      if (state === "SYN_SENT" || this.#seen.has(id)) continue;
      this.#seen.set(id, { service: service.name, fate: "finished" });
    }
    this.noteClosed(flows);
    this.#left = new Set(left.map(({ id }) => id));
  }

  /** Flows as they were last seen; those without K ended by themselves. */
  noteClosed(flows: readonly Drained[]): void {
    for (const { id, closed, early } of flows) {
      const seen = this.#seen.get(id);
      if (closed && seen !== undefined) seen.fate = early ? "closedEarly" : "cut";
    }
  }

  /** Flows that were given up at their deadline, because neither end said anything more. */
  noteCut(flows: readonly Drained[]): void {
    for (const { id, early, over } of flows) {
      const seen = this.#seen.get(id);
      if (seen !== undefined && !early && !over) seen.fate = "cut";
    }
  }

  progress(): DrainProgress {
    const counts = new Map(this.#services.map((name) => [name, none()]));
    const all = none();
    for (const [id, { service, fate }] of this.#seen) {
      const what = this.#left.has(id) ? "left" : fate;
      all[what] += 1;
      const ofService = counts.get(service);
      if (ofService !== undefined) ofService[what] += 1;
    }
    return { ...all, services: Object.fromEntries(counts) };
  }
}

/** The sum of what several tallies tell of services that are not the same. */
export function sumOf(parts: readonly DrainProgress[]): DrainProgress {
  const all = none();
  for (const part of parts)
    for (const what of ["left", "finished", "closedEarly", "cut"] as const) all[what] += part[what];
  return {
    ...all,
    services: Object.assign({}, ...parts.map(({ services }) => services)) as DrainProgress["services"],
  };
}

function none(): { -readonly [Name in keyof DrainCounts]: DrainCounts[Name] } {
  return { left: 0, finished: 0, closedEarly: 0, cut: 0 };
}
