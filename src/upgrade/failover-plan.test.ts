import assert from "node:assert/strict";
import { test } from "node:test";
import type { BoardCondition } from "../board/board.ts";
import {
  type Failure,
  type FailureCause,
  gravest,
  maxMoves,
  maxStandbys,
  planFailover,
  type Situation,
  standbyGivenUp,
} from "./failover-plan.ts";
import { freshSystem } from "./system-file.ts";

const board = (state: "running" | "dormant" | "dead"): BoardCondition => ({
  state,
  instance: `instance ${state}`,
  pid: 1,
  startTicks: 1,
});
const good = { mark: "good", content: null } as const;
const failed = (cause: FailureCause): Failure => ({ board: "a", cause, detail: "a test", at: 1000 });
const cut = "up0 has no carrier";

/** Board a serves, board b is dormant and good, nothing is wrong. */
function situation(changes: Partial<Situation> = {}): Situation {
  return {
    holder: "a",
    conditions: { a: board("running"), b: board("dormant") },
    state: { ...freshSystem, primary: "a", slots: { a: good, b: good } },
    keepsWarm: true,
    failure: null,
    wires: { a: null, b: null },
    inVain: [],
    sinceMs: 0,
    recentMoves: 0,
    recentStandbys: 0,
    ...changes,
  };
}

const decided = (changes: Partial<Situation>): string => {
  const plan = planFailover(situation(changes));
  return plan.action === "give-up"
    ? `give-up ${plan.code}`
    : "to" in plan
      ? `${plan.action} ${plan.to}`
      : plan.action;
};

const unlinked = { failure: failed("unlinked"), wires: { a: cut, b: null } };

test("a cut wire of the holder is a reason for failover if the other board's is whole", () => {
  assert.equal(decided(unlinked), "failover b");
});

test("with both wires cut nothing moves, and a person is needed", () => {
  const both = { ...unlinked, wires: { a: cut, b: cut } };
  assert.equal(decided(both), "give-up holder-unlinked");
  assert.equal(decided({ ...both, conditions: { a: board("running"), b: { state: "off" } } }), "standby b");
});

test("a whole wire moves nothing back", () => {
  assert.equal(decided({ wires: { a: null, b: null } }), "nothing");
  assert.equal(decided({ wires: { a: null, b: cut } }), "nothing");
});

test("a board without a link is never restarted for it: the other is made ready, or a person is needed", () => {
  assert.equal(decided({ ...unlinked, conditions: { a: board("running"), b: board("dead") } }), "standby b");
  const empty = { ...freshSystem, slots: { a: good, b: null } };
  assert.equal(decided({ ...unlinked, state: empty }), "give-up holder-unlinked");
});

test("links that go and come are given up as anything else that moves the service too often", () => {
  assert.equal(decided({ ...unlinked, recentMoves: maxMoves }), "give-up failover-given-up");
});

test("a failover that was in vain is not repeated before its time has passed", () => {
  const inVain = [{ action: "failover", to: "b", at: 500 }] as const;
  assert.equal(decided({ ...unlinked, inVain, sinceMs: 400 }), "give-up holder-unlinked");
  assert.equal(decided({ ...unlinked, inVain, sinceMs: 600 }), "failover b");
});

for (const [cause, otherwise] of [
  ["died", "restart a"],
  ["hung", "restart a"],
  ["unhealthy", "give-up holder-unhealthy"],
] as const) {
  test(`a board that ${cause} gives way to one that has a link, or if it has none itself`, () => {
    const failure = failed(cause);
    assert.equal(decided({ failure }), "failover b");
    assert.equal(decided({ failure, wires: { a: null, b: cut } }), otherwise);
    assert.equal(decided({ failure, wires: { a: cut, b: cut } }), "failover b");
  });
}

test("of several things that are wrong, a cut wire counts before ill health where the other board has a link", () => {
  const wire = failed("unlinked");
  assert.equal(gravest(null, wire, false)?.cause, "unlinked");
  assert.equal(gravest(failed("unhealthy"), wire, true)?.cause, "unlinked");
  assert.equal(gravest(failed("unhealthy"), wire, false)?.cause, "unhealthy");
  assert.equal(gravest(failed("died"), wire, true)?.cause, "died");
  assert.equal(gravest(failed("died"), null, true)?.cause, "died");
  assert.equal(gravest(null, null, true), null);
});

/** Where no board is kept warm: the other one is off. */
const cold = { keepsWarm: false, conditions: { a: board("running"), b: { state: "off" } } } as const;
const nothingGood = { ...freshSystem, slots: { a: good, b: null } };

test("where no board is kept warm none is booted to wait", () => {
  assert.equal(decided(cold), "nothing");
  assert.equal(decided({ ...cold, keepsWarm: true }), "standby b");
  for (const state of ["dead", "dormant", "running"] as const)
    assert.equal(
      decided({ ...cold, conditions: { a: board("running"), b: board(state) } }),
      "nothing",
      state,
    );
});

for (const cause of ["unhealthy", "unlinked"] as const) {
  const wrong = { ...cold, failure: failed(cause), wires: { a: cause === "unlinked" ? cut : null, b: null } };
  const givenUp = cause === "unlinked" ? "give-up holder-unlinked" : "give-up holder-unhealthy";
  test(`a board that is ${cause} serves as well as it can, while one that is off boots for it`, () => {
    assert.equal(decided(wrong), "failover b");
    assert.equal(decided({ ...wrong, conditions: { a: board("running"), b: board("dead") } }), "failover b");
    assert.equal(decided({ ...wrong, keepsWarm: true }), "standby b");
    assert.equal(decided({ ...wrong, keepsWarm: true, recentStandbys: maxStandbys }), givenUp);
    assert.equal(decided({ ...wrong, state: nothingGood }), givenUp);
    assert.equal(decided({ ...wrong, wires: { a: wrong.wires.a, b: cut } }), givenUp);
    const inVain = [{ action: "failover", to: "b", at: 500 }] as const;
    assert.equal(decided({ ...wrong, inVain }), givenUp);
    assert.equal(decided({ ...wrong, recentMoves: maxMoves }), "give-up failover-given-up");
  });
}

for (const cause of ["died", "hung"] as const) {
  test(`a board that ${cause} is started again while the other is off: nobody serves, and it boots no slower`, () => {
    const failure = failed(cause);
    assert.equal(decided({ ...cold, failure }), "restart a");
    const inVain = [{ action: "restart", to: "a", at: 500 }] as const;
    assert.equal(decided({ ...cold, failure, inVain }), "restart b");
    assert.equal(decided({ ...cold, failure, inVain, state: nothingGood }), "restart a");
    // What holds failed its probation, and no board was left to take the service back.
    const unproven = { ...freshSystem, slots: { a: { mark: "unknown", content: null }, b: good } } as const;
    assert.equal(decided({ ...cold, failure, state: unproven }), "restart b");
    const goodInVain = [{ action: "restart", to: "b", at: 500 }] as const;
    assert.equal(decided({ ...cold, failure, inVain: goodInVain, state: unproven }), "restart a");
    // The configuration was another when it went to sleep.
    const asleep = { a: board("running"), b: board("dormant") };
    assert.equal(decided({ ...cold, failure, conditions: asleep }), "failover b");
  });
}

test("a standby is given up only where there is to be one", () => {
  const often = { ...cold, recentStandbys: maxStandbys };
  assert.equal(standbyGivenUp(situation(often)), null);
  assert.match(standbyGivenUp(situation({ ...often, keepsWarm: true })) ?? "", /^board b was booted 3 times/);
  assert.equal(standbyGivenUp(situation({ ...often, keepsWarm: true, recentStandbys: 0 })), null);
});
