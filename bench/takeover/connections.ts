/** New TCP connections to the routed service while it is taken over. */
import { join } from "node:path";
import { moreOutside, type Namespaces, printed } from "../../test/fixtures/namespaces.ts";
import { Peer } from "../../test/fixtures/peer.ts";
import { addresses, type FamilyName } from "../../test/fixtures/routed/lab.ts";
import type { ConnectionResult, ConnectionSettings } from "../../test/fixtures/traffic/connections.ts";
import type { TrafficFigures } from "./figures.ts";
import type { TakeoversDone } from "./take-over.ts";

/** Each has 64,000 ports: at the highest rate one is used again after half a minute. */
const clientAddresses = 4;
const workers = 64;
const mostPerSecond = 20_000;
const warmUpTimeoutMs = 10_000;
/** Seconds: with the two minutes of before the table of flows would be full after a quarter of a million connections. */
const flowsRestSeconds = 20;

export interface ConnectionOrder {
  readonly windowHalfMs: number;
  readonly family: FamilyName;
  /** Connections a second; 0: as many as can be. */
  readonly rate: number;
  /** So long a run may take. */
  readonly mostMs: number;
}

/** Begins connections, lets `takeOver` do its work, and ends them. */
export async function underConnections(
  namespaces: Namespaces,
  { family, rate, windowHalfMs, mostMs }: ConnectionOrder,
  takeOver: () => Promise<TakeoversDone>,
): Promise<[TakeoversDone, ConnectionResult]> {
  const resting = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait";
  const { outside, device } = namespaces;
  await printed(device, "sh", ["-c", 'echo "$0" >"$1"', String(flowsRestSeconds), resting]);
  await printed(outside, "sh", ["-c", "echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range"]);
  const settings: ConnectionSettings = {
    host: addresses[family].service,
    port: 80,
    localAddresses: await moreOutside(namespaces, family, clientAddresses),
    workers,
    ...(rate === 0 ? {} : { perSecond: rate }),
    capacity: Math.ceil((mostMs * (rate === 0 ? mostPerSecond : rate)) / 1000),
  };
  const file = join(import.meta.dirname, "../../test/fixtures/traffic/connections.ts");
  await using clients = new Peer(outside, file, settings);
  await clients.call("warmUp", { timeoutMs: warmUpTimeoutMs });
  await clients.call("start");
  const done = await takeOver();
  const result = await clients.call<ConnectionResult>("stop", { takeovers: done.done, windowHalfMs });
  if (result.answered === 0) throw new Error(`no connection was answered: ${JSON.stringify(result.failed)}`);
  return [done, result];
}

export function connectionFigures({
  asked,
  answered,
  aroundTakeovers,
  elsewhere,
}: ConnectionResult): TrafficFigures {
  return {
    sent: asked,
    failed: asked - answered,
    lost: null,
    doubled: null,
    reordered: null,
    longestGapMs: aroundTakeovers.longestMs,
    baselineLongestGapMs: elsewhere.longestMs,
  };
}

/** The first failures as sentences, with the takeover that was before their end. */
export function failuresIn({ done }: TakeoversDone, { failures }: ConnectionResult): string[] {
  return failures.map(({ code, beganMs, endedMs }) => {
    const index = done.findLastIndex((one) => one.beganMs <= endedMs);
    const took = `${code} after ${(endedMs - beganMs).toFixed(1)} ms`;
    const last = done[index];
    if (last === undefined) return `${took}, before any takeover`;
    return `${took}, ${(endedMs - last.beganMs).toFixed(1)} ms after takeover ${index + 1} began`;
  });
}
