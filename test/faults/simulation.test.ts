/**
 * A long life in random order: upgrades with good and bad software, rollbacks, cancels, crashes of the daemon, reboots of the host, boards
 * that die, turn unhealthy or refuse a call, disks that are full. After each of them, once it is quiet, what must always be true is true.
 * Chosen by a seed; `TWINBOARD_SEED` sets another.
 *
 * With a primary whose software works the service is up, unless boards died so often that failover was given up.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Life } from "../fixtures/simulation/life.ts";
import { Dice, seed } from "../fixtures/simulation/seeded.ts";

const lives = 100;
const stepsPerLife = 25;

test(`${lives} lives of ${stepsPerLife} steps each`, async (context) => {
  context.diagnostic(`TWINBOARD_SEED=${seed}`);
  const outcomes = new Map<string, number>();
  for (let number = 0; number < lives; number += 1) {
    const life = new Life(new Dice(seed * lives + number));
    try {
      await life.begin();
      for (let step = 0; step < stepsPerLife; step += 1) await life.step();
    } finally {
      // A daemon that watches is never done.
      await life.system.close();
    }
    for (const { outcome } of life.results()) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  context.diagnostic([...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(", "));
  // A simulation that never gets anywhere proves nothing.
  for (const outcome of ["committed", "rolled-back", "failed", "rejected", "stuck"]) {
    assert.ok((outcomes.get(outcome) ?? 0) > 0, `no story was ${outcome}`);
  }
});
