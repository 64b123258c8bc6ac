/**
 * The load, as a process of its own, so that it can be run inside a network namespace: `node generator.ts PLANS`, PLANS a JSON array.
 * Open loop: every request has its time beforehand, and is late rather than left out. Writes each record as a line, and now and then
 * `{settledTo: TIME}`: all requests that were to begin before it have been written. Ends when stdin does, so that it does
 * not outlive who started it.
 */
import { Agent } from "node:http";
import { makeRequest, now, type Plan } from "./request.ts";

const settledEveryMs = 100;
const plans = JSON.parse(process.argv[2] ?? "[]") as Plan[];
/** Times of the requests that are under way, and of each plan's next. */
const underWay = new Set<{ readonly at: number }>();
const next = new Map<Plan, number>();

function write(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function pauseMs({ intervalMs, keptAlive = false }: Plan): number {
  return keptAlive ? Math.random() * 2 * intervalMs : intervalMs;
}

async function make(plan: Plan, at: number, agent: Agent | false): Promise<void> {
  const request = { at };
  underWay.add(request);
  write(await makeRequest(plan, at, agent));
  underWay.delete(request);
}

/** Begins what is due of a plan, and waits for the next. */
function keepUp(plan: Plan, due: number, agent: Agent | false): void {
  let at = due;
  for (; at <= now(); at += pauseMs(plan)) void make(plan, at, agent);
  next.set(plan, at);
  setTimeout(() => keepUp(plan, at, agent), Math.max(0, at - now()));
}

const startedAt = now();
for (const plan of plans) {
  const agent = plan.keptAlive === true ? new Agent({ keepAlive: true, maxSockets: 1 }) : false;
  keepUp(plan, startedAt + (plan.offsetMs ?? 0), agent);
}
setInterval(() => {
  write({ settledTo: Math.min(...next.values(), ...[...underWay].map(({ at }) => at)) });
}, settledEveryMs);
process.stdin.resume().on("end", () => process.exit());
