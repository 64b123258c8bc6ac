/**
 * A long life in random order: upgrades with good and bad software, rollbacks, cancels, crashes of the daemon, reboots of the host, boards
 * that die, turn unhealthy or refuse a call, disks that are full. After each of them, once it is quiet, what must always be true is true.
 * Chosen by a seed; `TWINBOARD_SEED` sets another.
 *
 * With a primary whose software works the service is up, unless boards died so often that failover was given up.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type BoardName, boardNames, otherBoard } from "../../src/board/board.ts";
import type { SoftwareFault } from "../../src/board/simulated.ts";
import { compareVersions } from "../../src/bundle/version.ts";
import type { ServiceCall } from "../../src/service/simulated.ts";
import { factsOf } from "../../src/upgrade/facts.ts";
import { phaseNames } from "../../src/upgrade/record.ts";
import type { StoryResult } from "../../src/upgrade/status.ts";
import type { System } from "../../src/upgrade/system.ts";
import { DeathSwitch } from "../fixtures/simulation/death-switch.ts";
import { Dice, seed } from "../fixtures/simulation/seeded.ts";
import { SimulatedHost } from "../fixtures/simulation/simulated-system.ts";

const lives = 100;
const stepsPerLife = 25;

class Life {
  readonly host = new SimulatedHost();
  readonly dice: Dice;
  /** What happened, for the message of a failure. */
  readonly told: string[] = [];
  system: System;
  #version = 0;
  #floor: string | null = null;
  #lost = 0;
  /** The daemon has just started, and nothing hinders it any more. */
  #fresh = true;
  /** What must never happen, noticed at the moment at which it did. */
  readonly #violations: string[] = [];

  constructor(dice: Dice) {
    this.dice = dice;
    this.system = this.host.daemon();
    this.#watch();
  }

  /** Looks at every boot and every installation as it happens. */
  #watch(): void {
    const { boards, slots, service } = this.host;
    const run = boards.run.bind(boards);
    boards.run = (name, start) => {
      if (this.host.state.slots[name]?.mark === "bad")
        this.#violations.push(`slot ${name} is bad and is booted`);
      run(name, start);
    };
    for (const name of boardNames) {
      const slot = slots[name];
      const install = slot.install.bind(slot);
      slot.install = (...how) => {
        if (service.holder === name) this.#violations.push(`slot ${name} is written, and its board holds`);
        return install(...how);
      };
    }
  }

  async begin(): Promise<void> {
    await this.#startDaemon();
  }

  results(): StoryResult[] {
    const ended = this.host.records.filter(({ event }) => event === "story-ended");
    return ended.map(({ data }) => data["result"] as StoryResult);
  }

  tell(what: string): void {
    this.told.push(what);
  }

  /** One thing that a person, the software or the world does, and everything that comes of it. */
  async step(): Promise<void> {
    const act = this.dice.below(12);
    this.#fresh = false;
    if (act < 5) await this.#upgrade();
    else if (act < 7) await this.#rollBack();
    else if (act < 8) await this.#reboot();
    else if (act < 9) await this.#replaceDaemon();
    else if (act < 10) await this.#boardDies();
    else await this.#crash();
    // What could not be written stays in the daemon's memory until the next record: another daemon knows only the disk.
    const diskWasFull = this.host.journalFails({} as never);
    this.#mend();
    if (diskWasFull) await this.#replaceDaemon();
    await this.judge();
  }

  async #upgrade(): Promise<void> {
    const version = this.#offerVersion();
    this.#arrangeTrouble();
    const force = this.dice.onceIn(2);
    this.tell(`upgrade to ${version}${force ? ", forced" : ""}`);
    const result = await this.host.upgrade(this.system, version, force).catch(String);
    this.tell(typeof result === "string" ? result : `${result.outcome} ${result.error?.message ?? ""}`);
  }

  async #rollBack(): Promise<void> {
    this.#arrangeTrouble();
    this.tell("rollback");
    const result = await this.host.rollback(this.system).catch(String);
    this.tell(typeof result === "string" ? result : `${result.outcome} ${result.error?.message ?? ""}`);
  }

  async #reboot(): Promise<void> {
    this.tell("reboot");
    await this.system.close();
    this.host.reboot();
    // What the host had in hand is lost with it.
    this.#lost = this.host.service.lost;
    await this.#startDaemon();
  }

  async #replaceDaemon(): Promise<void> {
    this.tell("the daemon is stopped and started");
    await this.system.close();
    await this.#startDaemon();
  }

  async #startDaemon(): Promise<void> {
    this.#mend();
    this.system = this.host.daemon();
    await this.host.settle(this.system);
    this.#fresh = true;
  }

  /** Outside a story: nothing happens until a story or a daemon comes. */
  async #boardDies(): Promise<void> {
    const name = this.dice.pick(boardNames);
    this.tell(`board ${name} dies while nothing is under way`);
    this.host.boards.die(name);
    if (this.dice.onceIn(2)) await this.#replaceDaemon();
  }

  /** The daemon is killed somewhere in an upgrade or a rollback, sometimes with the host. */
  async #crash(): Promise<void> {
    await this.system.close();
    const death = new DeathSwitch({
      call: 1 + this.dice.below(110),
      when: this.dice.pick<"before" | "after">(["before", "after"]),
    });
    this.system = this.host.daemon(death);
    this.#arrangeTrouble();
    const version = this.#offerVersion();
    const rollback = this.dice.onceIn(3);
    const work = this.host
      .settle(this.system)
      .then(() => (rollback ? this.host.rollback(this.system) : this.host.upgrade(this.system, version)))
      .catch(() => undefined);
    await this.host.clock.runUntil(Promise.race([work, death.died]));
    // If it made fewer calls than that it is killed when it has nothing to do.
    death.kill();
    this.tell(
      `${rollback ? "rollback" : `upgrade to ${version}`}, killed at ${death.calls.length}, ${death.calls.at(-1)}`,
    );
    if (this.dice.onceIn(3)) {
      this.tell("rebooted");
      this.host.reboot();
      // What the host had in hand is lost with it.
      this.#lost = this.host.service.lost;
    }
    await this.#startDaemon();
  }

  #offerVersion(): string {
    if (this.#version === 0 || !this.dice.onceIn(4)) this.#version += 1;
    const version = String(this.#version);
    this.host.offer(version);
    const none = undefined;
    const diesAtBoot = { times: 1 + this.dice.below(3) };
    const fault = this.dice.pick<SoftwareFault | undefined>([
      none,
      none,
      none,
      none,
      none,
      none,
      { reports: null },
      { reports: "0" },
      { diesAtBoot },
      { failingHook: "activate" },
    ]);
    if (fault !== undefined) this.host.boards.faults.set(version, fault);
    return version;
  }

  /** Clients, whose requests take a while; the boards finish them if they can, and each drain has an end. */
  #beginWork(): void {
    const { service, boards } = this.host;
    if (service.holder === null || boards.get(service.holder)?.condition.state !== "running") return;
    service.begin(3);
    void this.#finishWork(1000 + this.dice.below(20_000));
  }

  async #finishWork(everyMs: number): Promise<void> {
    const { service, boards, clock } = this.host;
    for (let round = 0; round < 60 && service.flows.a + service.flows.b > 0; round += 1) {
      await clock.sleep(everyMs);
      for (const name of boardNames) {
        if (boards.get(name)?.condition.state === "running") service.finish(name, 1);
      }
      if (round % 4 === 3) service.passDeadline();
    }
  }

  /** Something happens at a moment of the next story. */
  #arrangeTrouble(): void {
    this.#beginWork();
    if (this.dice.onceIn(3)) return;
    const phase = this.dice.pick(phaseNames);
    const event = this.dice.pick(["phase-began", "noted", "phase-done"] as const);
    const board = this.dice.pick(boardNames);
    const trouble = this.dice.pick<(host: SimulatedHost) => string>([
      (host) => {
        host.boards.die(board);
        return `board ${board} dies`;
      },
      (host) => {
        host.health.setUnhealthy(board);
        return `board ${board} turns unhealthy`;
      },
      () => {
        void this.system.cancel().catch(() => undefined);
        return "cancelled";
      },
      (host) => this.#failService(host),
      (host) => this.#failBoard(host, board),
      (host) => this.#fillDisk(host),
    ]);
    this.host.onRecord = (record) => {
      if (record.phase !== phase || record.event !== event) return;
      this.host.onRecord = undefined;
      this.tell(`${record.story}, ${phase} ${event}: ${trouble(this.host)}`);
    };
  }

  #failService(host: SimulatedHost): string {
    const call = this.dice.pick<ServiceCall>(["handOver", "prepare", "drain", "fence", "release"]);
    const calls = this.dice.pick([host.service.failing, host.service.failingAfter]);
    calls.add(call);
    void host.clock.sleep(this.dice.below(40_000)).then(() => calls.delete(call));
    return `${call} fails for some time`;
  }

  #failBoard(host: SimulatedHost, board: BoardName): string {
    const call = `${board}.${this.dice.pick(["start", "pause", "resume", "stop", "setPriority", "runHook"])}`;
    host.boards.failing.add(call);
    void host.clock.sleep(this.dice.below(40_000)).then(() => host.boards.failing.delete(call));
    return `${call} fails for some time`;
  }

  #fillDisk(host: SimulatedHost): string {
    host.journalFails = () => true;
    if (this.dice.onceIn(2)) host.systemFileFails = () => true;
    return "the disk is full";
  }

  /** What was arranged is over; a daemon that is asked again finds a host that works. */
  #mend(): void {
    const { host } = this;
    host.onRecord = undefined;
    host.boards.failing.clear();
    host.service.failing.clear();
    host.service.failingAfter.clear();
    for (const name of boardNames) host.health.setHealthy(name);
    host.journalFails = () => false;
    host.systemFileFails = () => false;
  }

  /** What must be true whenever it is quiet. */
  async judge(): Promise<void> {
    const { host } = this;
    await host.clock.runUntil(this.system.idle());
    const status = await host.clock.runUntil(this.system.status());
    const records = host.records.slice(-16).map(({ story, phase, event }) => `${story} ${phase} ${event}`);
    const told = [...this.told.slice(-12), ...records, JSON.stringify(status)];
    const where = [`TWINBOARD_SEED=${seed}`, ...told].join("\n");
    const { holder, primary, boards, stuck } = status;
    assert.deepEqual(this.#violations, [], where);
    assert.equal(host.service.lost, this.#lost, `work ended in silence: ${where}`);
    assert.equal(status.story, null, where);
    this.#judgeStories(where);
    this.#judgeFloor(where);
    assert.equal(new Set(host.boards.started).size, host.boards.started.length, `started twice: ${where}`);
    assert.ok(primary === null || boards[primary].slot !== "bad", `the primary's slot is bad: ${where}`);
    const up = holder !== null && boards[holder].role === "in service";
    const bounded = stuck?.code === "failover-given-up" && !this.#fresh;
    if (primary !== null && this.#works(primary) && !bounded)
      assert.ok(up, `the primary does not serve: ${where}`);
    if (up) {
      assert.equal(host.boards.priorities.get(holder), "service", where);
      assert.notEqual(boards[holder].slot, "bad", where);
      assert.match(boards[otherBoard(holder)].role, stuck === null ? /^(dormant|off|dead)$/ : /./, where);
      return;
    }
    // It died, or did not come back: nobody has stopped it, and nobody has put it to sleep.
    if (holder !== null) {
      const gaveUp = this.results().some(({ kind, outcome }) => kind === "restart" && outcome === "stuck");
      assert.match(boards[holder].role, gaveUp ? /^(dead|off)$/ : /^dead$/, where);
    } else if (this.#fresh) {
      for (const name of boardNames) {
        assert.ok(boards[name].slot !== "good" || !this.#works(name), `board ${name} could serve: ${where}`);
      }
    }
    const installed = boardNames.some((name) => boards[name].slot === "good");
    assert.ok(stuck !== null || (holder === null && !installed), `down, and nobody says so: ${where}`);
  }

  /** What is in the board's slot has no fault. */
  #works(name: BoardName): boolean {
    const version = this.host.state.slots[name]?.content?.version;
    return version !== undefined && !this.host.boards.faults.has(version);
  }

  #judgeStories(where: string): void {
    const stories = Map.groupBy(this.host.records, (record) => record.story);
    for (const records of stories.values()) assert.ok(factsOf(records).result !== null, where);
  }

  #judgeFloor(where: string): void {
    const { floor } = this.host.state;
    if (this.#floor !== null) assert.ok(floor !== null && compareVersions(floor, this.#floor) >= 0, where);
    this.#floor = floor;
  }
}

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
