/**
 * What a daemon left of a container that was killed while it launched one: to all drivers the board is off, and the container's groups are
 * below the one that a machine would be in. The next daemon makes of the board what it is to be.
 */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Board } from "../../src/board/board.ts";
import { ContainerGroup, findHierarchies } from "../../src/board/container/container-group.ts";
import { containerRecords } from "../../src/board/container/container-options.ts";
import { findMonitor } from "../../src/board/container/container-process.ts";
import { boardKinds } from "../../src/board/kind.ts";
import { type EitherSubject, makeEitherSubject, whyNotEither } from "../fixtures/board/either-subject.ts";

const options = { skip: await whyNotEither(), timeout: 120_000 };

interface Left {
  readonly what: string;
  readonly leave: (subject: EitherSubject, daemon: Board, signal: AbortSignal) => Promise<void>;
}

const left: readonly Left[] = [
  {
    what: "a container that is being launched",
    leave: async (subject, daemon, signal) => await beginContainer(subject, daemon, signal),
  },
  {
    what: "a container whose launch stands still",
    leave: async (subject, daemon, signal) => {
      await beginContainer(subject, daemon, signal);
      const script = await findMonitor(containerRecords(subject.names, "a"));
      assert.ok(script !== undefined);
      process.kill(script, "SIGSTOP");
    },
  },
  {
    what: "groups without a process",
    leave: async ({ names }) => {
      for (const root of (await findHierarchies()).roots)
        for (const part of ["board", "host"])
          await mkdir(join(root, nameOf(names), part), { recursive: true });
    },
  },
];

function nameOf({ system }: EitherSubject["names"]): string {
  return `twinboard-${system}-a`;
}

function groupOf({ names }: EitherSubject): ContainerGroup {
  return new ContainerGroup(nameOf(names));
}

/** Begins one, and is gone as soon as its launch script is in its group. */
async function beginContainer(subject: EitherSubject, daemon: Board, signal: AbortSignal): Promise<void> {
  // What is killed below ends this one too, which nobody waits for.
  void daemon.start(subject.softwareOf("container"), signal).catch(() => undefined);
  while ((await groupOf(subject).helpers()).length === 0) await sleep(2, undefined, { signal });
  assert.deepEqual(await daemon.inspect(), { state: "off" });
  await daemon.release();
}

for (const usual of boardKinds)
  for (const { what, leave } of left)
    test(
      `the usual kind is ${usual}, and ${what} is left: the board becomes either`,
      options,
      async ({ signal }) => {
        await using subject = await makeEitherSubject(usual);
        const group = groupOf(subject);
        const nobody = async (): Promise<void> => {
          assert.deepEqual([await group.processes(), await group.helpers()], [[], []]);
        };
        for (const kind of boardKinds) {
          await leave(subject, subject.restart(), signal);
          const next = subject.restart();
          await next.setUp(signal, kind);
          await nobody();
          await next.start(subject.softwareOf(kind), signal);
          assert.deepEqual([next.kind, (await next.inspect()).state], [kind, "running"]);
          await next.tearDown(signal);
          await next.release();
        }
        await leave(subject, subject.restart(), signal);
        const last = subject.restart();
        await last.tearDown(signal);
        await nobody();
        await last.release();
      },
    );
