/** Somebody changes the gate's rules while a board is in service behind it: that is told and mended, and the holder stays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type BoardName, otherBoard } from "../../src/board/board.ts";
import { bridgedLab } from "../fixtures/bridged/lab.ts";
import { answers, untilAnswers } from "../fixtures/device-state.ts";
import { printed } from "../fixtures/namespaces.ts";
import { twoCardsLab } from "../fixtures/two-cards/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(200_000);

const changed = /^somebody changed the rules of table/;
/** What is done to table `TABLE`, what is told, and whether the service goes on without a mend. */
const harms: readonly (readonly [what: string, told: RegExp, goesOn: boolean])[] = [
  ["flush set bridge TABLE rx", changed, true],
  ["flush map bridge TABLE turn", changed, true],
  ["insert rule bridge TABLE hear_turn drop", changed, false],
  ["flush set bridge TABLE tx", changed, false],
  ["flush chain bridge TABLE hear", changed, true],
  ["insert rule bridge TABLE admit drop", changed, true],
  ["flush set bridge TABLE boards", changed, false],
  ["flush table inet TABLE", changed, true],
  ["flush set inet TABLE holder", /took the board in service out/, true],
  ["flush set inet TABLE epoch", /took the epoch out/, true],
];

for (const [way, makeLab] of [
  ["bridged", bridgedLab],
  ["two cards", twoCardsLab],
] as const)
  test(`${way}: what somebody changes in the rules is told and mended, and the next takeover is one`, {
    skip,
    signal,
  }, async (t) => {
    await using lab = await makeLab("gate");
    const daemon = lab.daemon();
    // The daemon ends the linger itself, and would mend the next harm by it: its rules change no more once it has answered this.
    const settled = async (old: BoardName): Promise<void> => {
      await daemon.drain(old, { sinceMs: Date.now() }, signal);
      await daemon.inspect();
    };
    await daemon.setUp(signal);
    await daemon.prepare("a", signal);
    await daemon.handOver("a", signal);
    await untilAnswers(lab);
    await settled("b");
    for (const [what, told, goesOn] of harms)
      await t.test(what, async () => {
        const words = what.replace("TABLE", lab.names.table).split(" ");
        await printed(lab.namespaces.device, "nft", words);
        assert.equal(await answers(lab), goesOn);
        assert.equal((await daemon.inspect()).holder, "a");
        const found = await daemon.troubles();
        assert.ok(
          found.some((trouble) => trouble.mendable && told.test(trouble.what)),
          JSON.stringify(found),
        );
        await daemon.mend(signal);
        assert.deepEqual(await daemon.troubles(), []);
        assert.ok(await answers(lab));
        for (const to of ["b", "a"] as const) {
          await daemon.prepare(to, signal);
          await daemon.handOver(to, signal);
          await untilAnswers(lab);
          await settled(otherBoard(to));
        }
      });
  });
