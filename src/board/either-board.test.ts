import assert from "node:assert/strict";
import { test } from "node:test";
import { EitherBoard } from "./either-board.ts";
import type { BoardKind } from "./kind.ts";
import { SimulatedBoard } from "./simulated.ts";
import { SimulatedWorld } from "./simulated-world.ts";

/** A daemon's board over a world, and the kinds that it takes down, in their order. */
function makeBoard(
  kinds: readonly [BoardKind, ...BoardKind[]],
  world = new SimulatedWorld(),
): { readonly board: EitherBoard; readonly taken: string[]; readonly world: SimulatedWorld } {
  const taken: string[] = [];
  class Told extends SimulatedBoard {
    override async tearDown(signal: AbortSignal): Promise<void> {
      taken.push(this.kind);
      await super.tearDown(signal);
    }
  }
  const [usual, ...others] = kinds.map((kind) => new Told("a", world, kind));
  assert.ok(usual !== undefined);
  return { board: new EitherBoard([usual, ...others]), taken, world };
}

const lists = [
  ["container", "qemu"],
  ["qemu", "container"],
] as const;

void test("what nobody knows is taken down with the container first, whatever the board is to be", async ({
  signal,
}) => {
  for (const kinds of lists) {
    for (const kind of [undefined, ...kinds]) {
      const { board, taken } = makeBoard(kinds);
      await board.setUp(signal, kind);
      assert.deepEqual(taken, ["container", "qemu"], `${kinds.join()} to ${kind}`);
      // From here on it is known.
      await board.setUp(signal, kind);
      assert.equal(taken.length, 2);
    }
    const { board, taken } = makeBoard(kinds);
    await board.tearDown(signal);
    assert.deepEqual(taken, ["container", "qemu"]);
  }
});

void test("what runs is not taken down for what is left, and when it is, it goes first", async ({
  signal,
}) => {
  for (const kinds of lists)
    for (const kind of kinds) {
      const first = makeBoard(kinds);
      await first.board.start(
        { instance: "1", version: "1.0.0", kind, images: {}, kernelArguments: "" },
        signal,
      );
      const { board, taken, world } = makeBoard(kinds, first.world);
      for (const wanted of kinds) await board.setUp(signal, wanted);
      assert.deepEqual([taken, board.kind, (await board.inspect()).state], [[], kind, "running"]);
      await board.tearDown(signal);
      assert.deepEqual(taken[0], kind);
      assert.equal(taken.length, 2);
      assert.deepEqual(world.violations, []);
    }
});
