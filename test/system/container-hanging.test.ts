/** A container's runtime that hangs: it is named, within the time that it was given, and nothing of it stays. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ContainerGroup, findHierarchies } from "../../src/board/container/container-group.ts";
import { containerRecords } from "../../src/board/container/container-options.ts";
import { recordFiles } from "../../src/board/container/launch-script.ts";
import { chooseRuntime } from "../../src/board/container/runtime.ts";
import { TwinboardError } from "../../src/errors.ts";
import { run } from "../../src/system/process.ts";
import {
  type ContainerSubject,
  makeContainerSubject,
  whyNoContainers,
} from "../fixtures/container/subject.ts";

const skip = await whyNoContainers();
const options = { skip, timeout: 60_000 };
const path = process.env["PATH"] ?? "";
let directory: string;

/** In front of the real one: for the verb that `hang` names it begins a process, tells both in `pids`, and does not come back. */
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "twinboard-hanging-"));
  if (skip !== false) return;
  const { name } = await chooseRuntime("auto");
  const script = `#!/bin/sh
PATH='${path}'
case " $* " in
*" $(cat '${directory}/hang') "*)
  sleep 4711 &
  echo "$$ $!" >'${directory}/pids.new'
  mv '${directory}/pids.new' '${directory}/pids'
  wait ;;
esac
exec ${name} "$@"
`;
  await writeFile(join(directory, name), script, { mode: 0o755 });
  process.env["PATH"] = `${directory}${delimiter}${path}`;
});
after(async () => {
  process.env["PATH"] = path;
  await rm(directory, { recursive: true });
});

async function letHang(verb: string): Promise<void> {
  await rm(join(directory, "pids"), { force: true });
  await writeFile(join(directory, "hang"), verb);
}

/** Resolves with the hanging processes once there are any. */
async function hanging(signal: AbortSignal): Promise<number[]> {
  while (!existsSync(join(directory, "pids"))) await sleep(10, undefined, { signal });
  return (await readFile(join(directory, "pids"), "utf8")).trim().split(" ").map(Number);
}

/** A limit of time that is over as soon as the runtime hangs. */
async function overOnceItHangs(
  code: "board-start-failed" | "hook-failed",
  signal: AbortSignal,
  act: (limit: AbortSignal) => Promise<unknown>,
): Promise<{ readonly error: unknown; readonly pids: readonly number[] }> {
  const limit = new AbortController();
  const acting = act(limit.signal).then(
    () => undefined,
    (error: unknown) => error,
  );
  const pids = await hanging(signal);
  limit.abort(new TwinboardError(code, { detail: "within so many ms" }));
  return { error: await acting, pids };
}

async function gone(pids: readonly number[], signal: AbortSignal): Promise<void> {
  for (const pid of pids) while (await lives(pid)) await sleep(10, undefined, { signal });
}

/** One that is dead may still wait for its parent. */
async function lives(pid: number): Promise<boolean> {
  return /^\d+ \(.*\) [^ZX]/.test(await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""));
}

async function nothingStays(
  { board, options: made, software }: ContainerSubject,
  signal: AbortSignal,
): Promise<void> {
  const id = `twinboard-${made.names.system}-a`;
  const group = new ContainerGroup(id);
  assert.deepEqual([await board.inspect(), await group.helpers()], [{ state: "off" }, []]);
  const image = software().images["rootfs"] ?? "";
  // The kernel lets go of it when the last mount is gone.
  while ((await run("losetup", ["--noheadings", "--associated", image])).stdout.length > 0)
    await sleep(10, undefined, { signal });
  await board.tearDown(signal);
  for (const root of (await findHierarchies()).roots)
    assert.ok(
      (await readdir(root)).every((name) => name !== id),
      root,
    );
}

for (const verb of ["delete", "run"])
  test(`the runtime hangs at ${verb} while a board boots`, options, async ({ signal }) => {
    await using subject = await makeContainerSubject();
    await letHang(verb);
    // What an earlier container has left with the runtime: otherwise there is nothing to delete.
    const { name, names } = subject.options;
    const left = join(containerRecords(names, name), recordFiles.runtimeRoot, `twinboard-${names.system}-a`);
    await mkdir(left, { recursive: true });
    const { error, pids } = await overOnceItHangs("board-start-failed", signal, async (limit) => {
      await subject.board.start(subject.software(), limit);
    });
    assert.ok(error instanceof TwinboardError);
    assert.equal(error.code, "runtime-hangs");
    assert.match(
      error.message,
      new RegExp(`${subject.options.runtime} \\(process ${pids[0]}\\) .* within so many ms`),
    );
    assert.match(error.remedy, /boards\.runtime/);
    await gone(pids, signal);
    await nothingStays(subject, signal);
  });

test("the runtime is killed while a board boots: the start says so", options, async ({ signal }) => {
  await using subject = await makeContainerSubject();
  await letHang("run");
  const starting = assert.rejects(subject.board.start(subject.software(), signal), {
    code: "board-start-killed",
    message: /the runtime was killed/,
  });
  const pids = await hanging(signal);
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await starting;
  await subject.board.stop(signal);
  await nothingStays(subject, signal);
});

test("the runtime hangs at a hook: it is named, and the board goes on", options, async ({ signal }) => {
  await using subject = await makeContainerSubject();
  const { board } = subject;
  await letHang("nothing");
  await board.start(subject.software(), signal);
  await board.ready(signal);
  await letHang("exec");
  const { error, pids } = await overOnceItHangs("hook-failed", signal, async (limit) => {
    await board.runHook("activate", limit);
  });
  assert.ok(error instanceof TwinboardError);
  assert.equal(error.code, "runtime-hangs");
  assert.match(error.message, new RegExp(`\\(process ${pids[0]}\\) did not run the hook activate`));
  await gone(pids, signal);
  await letHang("nothing");
  assert.equal(await board.runHook("activate", signal), "done");
  const records = await readdir(join(subject.options.names.runDirectory, "container-a"));
  assert.deepEqual(
    records.filter((name) => name.startsWith("hook")),
    [],
  );
  await board.stop(signal);
  await nothingStays(subject, signal);
});

test(
  "a daemon is killed while the runtime hangs at a hook: it ends with the board",
  options,
  async ({ signal }) => {
    await using subject = await makeContainerSubject();
    const { board, restart } = subject;
    await letHang("nothing");
    await board.start(subject.software(), signal);
    await board.ready(signal);
    await letHang("exec");
    const hook = board.runHook("activate", signal).catch((error: unknown) => error);
    const pids = await hanging(signal);
    // What a daemon knows that begins anew.
    const next = restart();
    await next.stop(signal);
    await gone(pids, signal);
    assert.ok((await hook) instanceof TwinboardError);
    await nothingStays({ ...subject, board: next }, signal);
  },
);
