/** A container's helpers on the host are killed one by one: the board goes on, what is lost is told, and what can be done without them is. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ContainerBoard } from "../../src/board/container/container-board.ts";
import { ContainerGroup } from "../../src/board/container/container-group.ts";
import { containerRecords } from "../../src/board/container/container-options.ts";
import { recordFiles } from "../../src/board/container/launch-script.ts";
import {
  type ContainerSubject,
  makeContainerSubject,
  whyNoContainers,
} from "../fixtures/container/subject.ts";

const skip = await whyNoContainers();
const options = { skip, timeout: 60_000 };

interface Helper {
  readonly pid: number;
  readonly name: string;
  readonly words: string;
}

async function read(pid: number, file: string): Promise<string> {
  return await readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
}

async function helpersOf({ options: { name, names } }: ContainerSubject): Promise<Helper[]> {
  const pids = await new ContainerGroup(`twinboard-${names.system}-${name}`).helpers();
  return await Promise.all(
    pids.map(async (pid) => ({
      pid,
      name: (await read(pid, "comm")).trim(),
      words: (await read(pid, "cmdline")).replaceAll("\0", " "),
    })),
  );
}

async function launchScriptOf({ options: { name, names } }: ContainerSubject): Promise<number> {
  return Number.parseInt(
    await readFile(join(containerRecords(names, name), recordFiles.monitor), "utf8"),
    10,
  );
}

async function lacksOf({ board }: ContainerSubject): Promise<string> {
  return (await board.confinement()).lacks.join("; ");
}

async function untilLacks(subject: ContainerSubject, wanted: RegExp, signal: AbortSignal): Promise<void> {
  while (!wanted.test(await lacksOf(subject))) await sleep(20, undefined, { signal });
}

test(
  "the launch script is killed: hooks run all the same, also of a board that has slept",
  options,
  async ({ signal }) => {
    await using subject = await makeContainerSubject();
    const { board, software } = subject;
    await board.start(software(), signal);
    await board.ready(signal);
    assert.equal(await lacksOf(subject), "");
    process.kill(await launchScriptOf(subject), "SIGKILL");
    await untilLacks(subject, /its launch script was killed/, signal);
    await board.pause(signal);
    assert.equal((await board.inspect()).state, "dormant");
    await board.resume(signal);
    assert.equal(await board.runHook("activate", signal), "done");
    await board.stop(signal);
    assert.equal((await board.inspect()).state, "off");
    assert.deepEqual(await helpersOf(subject), []);
  },
);

test("a board that sleeps is dead once all of its helpers are killed", options, async ({ signal }) => {
  await using subject = await makeContainerSubject();
  const { board, software } = subject;
  await board.start(software(), signal);
  await board.ready(signal);
  const died = new Promise<string>((resolve) => {
    board.subscribe((event) => {
      if (event.type === "died") resolve(event.detail);
    });
  });
  await board.pause(signal);
  process.kill(await launchScriptOf(subject), "SIGKILL");
  for (const { pid } of await helpersOf(subject)) process.kill(pid, "SIGKILL");
  assert.equal(await died, "what started it was killed while it slept");
  assert.equal((await board.inspect()).state, "dead");
  await board.start(software(), signal);
  await board.ready(signal);
  assert.equal(await lacksOf(subject), "");
});

test(
  "the runtime is killed: the board goes on with its helpers, and its end is noticed",
  options,
  async ({ signal }) => {
    await using subject = await makeContainerSubject();
    const { board, software, options: of } = subject;
    await board.start(software(), signal);
    await board.ready(signal);
    const runtime = (await helpersOf(subject)).find(({ words }) => words.startsWith(`${of.runtime} --root`));
    assert.ok(runtime !== undefined);
    process.kill(runtime.pid, "SIGKILL");
    await untilLacks(subject, /was killed: how it ends/, signal);
    assert.doesNotMatch(await lacksOf(subject), /launch script|hears it|console/);
    assert.equal(await board.runHook("activate", signal), "done");
    const condition = await board.inspect();
    assert.ok(condition.state === "running");
    process.kill(condition.pid, "SIGKILL");
    while ((await board.inspect()).state !== "off") await sleep(20, undefined, { signal });
  },
);

test("a board whose words nobody takes down is not taken for one that hangs", options, async ({ signal }) => {
  await using subject = await makeContainerSubject();
  const { board, software } = subject;
  const events: string[] = [];
  board.subscribe(({ type }) => events.push(type));
  await board.start(software(), signal);
  await board.ready(signal);
  // First the loop that would begin it anew.
  const helpers = await helpersOf(subject);
  const listener = helpers.find(({ name }) => name === "socat");
  assert.ok(listener !== undefined);
  const stat = await readFile(`/proc/${listener.pid}/stat`, "utf8");
  process.kill(Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]), "SIGKILL");
  process.kill(listener.pid, "SIGKILL");
  await untilLacks(subject, /the helper that hears it was killed/, signal);
  await sleep(2 * (subject.options.watchdogMs ?? 0), undefined, { signal });
  assert.ok(!events.includes("hung"), events.join());
});

test(
  "a listener that was killed is there again before the board could be taken for one that hangs",
  options,
  async ({ signal }) => {
    await using subject = await makeContainerSubject();
    const { board, software } = subject;
    const events: string[] = [];
    board.subscribe(({ type }) => events.push(type));
    await board.start(software(), signal);
    await board.ready(signal);
    const listener = (await helpersOf(subject)).find(({ name }) => name === "socat");
    assert.ok(listener !== undefined);
    process.kill(listener.pid, "SIGKILL");
    await sleep(2 * (subject.options.watchdogMs ?? 0), undefined, { signal });
    assert.deepEqual(
      events.filter((type) => type === "hung"),
      [],
    );
    assert.equal(await lacksOf(subject), "");
  },
);

test("a board keeps the runtime that it was started with, whatever the configuration says later", {
  ...options,
  skip: skip || (await whyNoContainers("crun")) || (await whyNoContainers("runc")),
}, async ({ signal }) => {
  await using subject = await makeContainerSubject({ runtime: "runc" });
  const { board, software } = subject;
  const start = software();
  await board.start(start, signal);
  await board.ready(signal);
  await board.release();
  const later = new ContainerBoard({ ...subject.options, runtime: "crun" });
  try {
    await later.setUp(signal);
    assert.equal((await later.ready(signal)).version, start.version);
    await later.pause(signal);
    await later.resume(signal);
    assert.equal(await later.runHook("activate", signal), "done");
    assert.deepEqual((await later.confinement()).lacks, []);
    await later.stop(signal);
    await later.start(software(), signal);
    await later.ready(signal);
    assert.equal(await later.runHook("activate", signal), "done");
  } finally {
    await later.stop(signal);
    await later.release();
  }
});
