/** A board that may be of either kind changes from one to the other, with a real machine and a real container. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ContainerGroup } from "../../src/board/container/container-group.ts";
import { containerRecords } from "../../src/board/container/container-options.ts";
import { findMonitor } from "../../src/board/container/container-process.ts";
import { kindFinding, refuseOtherKinds } from "../../src/composition/kinds.ts";
import type { SystemNames } from "../../src/system/names.ts";
import { hasNamespace } from "../../src/system/netns.ts";
import { run } from "../../src/system/process.ts";
import { makeEitherSubject, whyNotEither } from "../fixtures/board/either-subject.ts";

const skip = await whyNotEither();

/** Of the board as a container. */
function namespaceOf({ system }: SystemNames): string {
  return `twinboard-${system}-a`;
}

/** What the host's end of the board's card is. */
async function cardKind(name: string): Promise<string | undefined> {
  const words = ["-json", "-details", "link", "show", "dev", name];
  const { stdout, exitCode } = await run("ip", words, { allowedExitCodes: [1] });
  if (exitCode !== 0) return undefined;
  const [card] = JSON.parse(stdout.toString()) as { linkinfo?: { info_kind?: string } }[];
  return card?.linkinfo?.info_kind;
}

void test("a board becomes the other kind while it is off, and nothing of what it was stays", {
  skip,
  timeout: 120_000,
}, async ({ signal }) => {
  await using subject = await makeEitherSubject("container");
  const { board, softwareOf, names, restart } = subject;
  const [card, namespace] = [names.card("a", "service"), namespaceOf(names)];
  const kinds: (string | undefined)[] = [];
  const told: string[] = [];
  board.subscribe((event) => told.push(event.type));
  await board.place({ cores: [0], emulator: null }, signal);
  for (const kind of ["container", "qemu", "container"] as const) {
    await board.setUp(signal, kind);
    assert.equal(await hasNamespace(namespace), kind === "container");
    kinds.push(await cardKind(card));
    await board.start(softwareOf(kind), signal);
    await board.ready(signal);
    assert.equal(board.kind, kind);
    assert.equal((await board.confinement()).cores, "0", "where it was placed as what it was before");
    // What runs stays what it is, whatever it is set up as.
    await board.setUp(signal, kind === "qemu" ? "container" : "qemu");
    assert.equal(board.kind, kind);
    await assert.rejects(board.start(softwareOf(kind === "qemu" ? "container" : "qemu"), signal), {
      code: "board-start-failed",
    });
    const other = restart();
    const [found, known] = [await other.inspect(), await board.inspect()];
    assert.deepEqual(found, known, "another daemon finds it, whichever it is");
    assert.equal(other.kind, kind);
    await other.release();
    await board.stop(signal);
  }
  assert.deepEqual(kinds, ["veth", "tun", "veth"]);
  assert.equal(told.filter((type) => type === "ready").length, 3, "who listens goes on hearing");
  assert.ok(!told.includes("died"));
  await board.tearDown(signal);
  assert.equal(await cardKind(card), undefined);
  assert.equal(await hasNamespace(namespace), false);
});

void test("what a daemon left that was killed in the middle of a change is put away by the next", {
  skip,
  timeout: 120_000,
}, async ({ signal }) => {
  await using subject = await makeEitherSubject("container");
  const { board, softwareOf, restart, names } = subject;
  const [card, namespace] = [names.card("a", "service"), namespaceOf(names)];
  await board.setUp(signal, "container");
  await board.release();
  // Of a container that is off its namespace and cards are left; the next daemon makes a machine of it.
  const next = restart();
  await next.start(softwareOf("qemu"), signal);
  await next.ready(signal);
  assert.deepEqual([await cardKind(card), await hasNamespace(namespace)], ["tun", false]);
  await next.stop(signal);
});

void test("a configuration that does not allow what runs is refused, and one that does is not", {
  skip,
  timeout: 120_000,
}, async ({ signal }) => {
  await using subject = await makeEitherSubject("container");
  const { board, softwareOf, names } = subject;
  for (const [kind, other] of [
    ["container", "qemu"],
    ["qemu", "container"],
  ] as const) {
    await board.start(softwareOf(kind), signal);
    await refuseOtherKinds(names, { a: [other, kind], b: [other] });
    await assert.rejects(refuseOtherKinds(names, { a: [other], b: [kind] }), {
      code: "config-changed",
      message: /board a runs as/,
    });
    const found = await kindFinding(names, { a: [other], b: [kind] });
    assert.deepEqual(
      [found.severity, found.where, found.error?.code],
      ["error", "boards.kind", "config-changed"],
    );
    assert.equal((await kindFinding(names, { a: [other, kind], b: [other] })).severity, "ok");
    await board.stop(signal);
    await refuseOtherKinds(names, { a: [other], b: [other] });
  }
});

void test("a container that is being launched is refused like one that runs: nobody would know of it", {
  skip,
  timeout: 60_000,
}, async ({ signal }) => {
  await using subject = await makeEitherSubject("container");
  const { board, softwareOf, names, restart } = subject;
  const group = new ContainerGroup(`twinboard-${names.system}-a`);
  // What is killed below ends this one too, which nobody waits for.
  void board.start(softwareOf("container"), signal).catch(() => undefined);
  while ((await group.helpers()).length === 0) await sleep(2, undefined, { signal });
  const script = await findMonitor(containerRecords(names, "a"));
  assert.ok(script !== undefined);
  process.kill(script, "SIGSTOP");
  assert.deepEqual(await board.inspect(), { state: "off" });
  await board.release();
  await assert.rejects(refuseOtherKinds(names, { a: ["qemu"], b: ["container"] }), {
    code: "config-changed",
    message: /board a is being started as a container, and boards\.kind lets it be a machine alone/,
  });
  await refuseOtherKinds(names, { a: ["qemu", "container"], b: ["qemu"] });
  const next = restart();
  await next.tearDown(signal);
  await next.release();
  await refuseOtherKinds(names, { a: ["qemu"], b: ["container"] });
});
