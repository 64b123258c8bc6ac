/**
 * The load, as a process of its own, so that it can be run inside a network namespace: `node generator.ts PLANS`, PLANS a JSON array.
 * Open loop: every request has its time beforehand, and is late rather than left out. Writes a line with the time
 * at which all plans start, then one record a line; ends when stdin does, so that it does
 * not outlive who started it.
 */
import { makeRequest, now, type Plan } from "./request.ts";

const plans = JSON.parse(process.argv[2] ?? "[]") as Plan[];
const startedAt = now();

/** Begins what is due of a plan, of which `count` were begun before, and waits for the next. */
function keepUp(plan: Plan, count: number): void {
  let next = count;
  const due = (): number => startedAt + next * plan.intervalMs;
  for (; due() <= now(); next += 1) {
    void makeRequest(plan, due()).then((record) => process.stdout.write(`${JSON.stringify(record)}\n`));
  }
  setTimeout(() => keepUp(plan, next), Math.max(0, due() - now()));
}

process.stdout.write(`${JSON.stringify({ startedAt })}\n`);
for (const plan of plans) keepUp(plan, 0);
process.stdin.resume().on("end", () => process.exit());
