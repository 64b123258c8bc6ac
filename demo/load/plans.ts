/** The load of the demo and of the benches: every kind of client at once, over every family that the service has. */
import type { Plan, PlanKind, RequestRecord } from "./request.ts";

const quick = { kind: "quick", timeoutMs: 10_000 } as const;
const slow = { kind: "slow", timeoutMs: 30_000 } as const;
const steady = { kind: "steady", timeoutMs: 10_000, keptAlive: true } as const;
const idle = { kind: "idle", timeoutMs: 10_000, keptAlive: true } as const;

/** In all, whatever the number of families. */
const quickIntervalMs = 20;
const slowIntervalMs = 1000;
const steadyClients = 8;
const steadyIntervalMs = 1000;
const idleClients = 8;
const idleIntervalMs = 6000;

/** @param hosts of the service, as in a URL: an address of each family, that of IPv6 in brackets. */
export function fullLoad(hosts: readonly string[]): Plan[] {
  const inTurn = (count: number): string[] =>
    Array.from({ length: count }, (_, index) => hosts[index % hosts.length] ?? "");
  return [
    ...hosts.map((host, index) => ({
      ...quick,
      url: `http://${host}/`,
      intervalMs: quickIntervalMs * hosts.length,
      offsetMs: quickIntervalMs * index,
    })),
    ...hosts.map((host, index) => ({
      ...slow,
      url: `http://${host}/slow`,
      intervalMs: slowIntervalMs * hosts.length,
      offsetMs: slowIntervalMs * index,
    })),
    ...inTurn(steadyClients).map((host) => ({
      ...steady,
      url: `http://${host}/`,
      intervalMs: steadyIntervalMs,
    })),
    ...inTurn(idleClients).map((host) => ({ ...idle, url: `http://${host}/`, intervalMs: idleIntervalMs })),
  ];
}

export const keptAliveClients = steadyClients + idleClients;

const keptAlive: ReadonlySet<PlanKind> = new Set(["steady", "idle"]);

/**
 * How many requests may cross the closing of their connection, where so many are closed between two requests: it is a matter of
 * milliseconds in pauses of a second and more, so one in ten is more than chance.
 */
export function mostRepeated(closed: number): number {
  return Math.ceil(closed / 10);
}

export function isKeptAlive({ kind }: RequestRecord): boolean {
  return keptAlive.has(kind);
}
