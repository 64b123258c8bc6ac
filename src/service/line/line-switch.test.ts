import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  array,
  asyncProperty,
  constant,
  constantFrom,
  assert as forAll,
  nat,
  oneof,
  record,
} from "fast-check";
import type { BoardName } from "../../board/board.ts";
import { LineSwitch } from "./line-switch.ts";
import { SimulatedBoardEnd, SimulatedOutsideEnd } from "./simulated-ends.ts";

const bufferBytes = 32;

function makeLine(): {
  line: LineSwitch;
  a: SimulatedBoardEnd;
  b: SimulatedBoardEnd;
  outside: SimulatedOutsideEnd;
} {
  const [a, b, outside] = [new SimulatedBoardEnd(), new SimulatedBoardEnd(), new SimulatedOutsideEnd()];
  return { line: new LineSwitch({ boards: { a, b }, outside, bufferBytes }), a, b, outside };
}

const text = (bytes: readonly number[]): string => Buffer.from(bytes).toString();
const bytes = (words: string): Buffer => Buffer.from(words);

describe("the switch of a line", () => {
  test("what waits while it is leased reaches the next holder first, once and in order", () => {
    const { line, a, b } = makeLine();
    line.settle("a", 1);
    line.fromOutside(bytes("one "));
    line.lease("b", 1);
    line.fromOutside(bytes("two "));
    line.fromOutside(bytes("three "));
    assert.deepEqual(line.holding, { holder: null, leasedTo: "b", epoch: 1 });
    assert.equal(line.counters.waitingBytes, 10);
    line.settle("b", 2);
    line.fromOutside(bytes("four"));
    assert.equal(text(a.taken), "one ");
    assert.equal(text(b.taken), "two three four");
  });

  test("what the old holder had sent before the lease still leaves, before anything of the new one", () => {
    const { line, a, outside } = makeLine();
    line.settle("a", 1);
    outside.room = 0;
    line.fromBoard("a", bytes("read, "));
    a.sent.push(...bytes("not read yet, "));
    line.lease("b", 1);
    a.sent.push(...bytes("too late"));
    line.settle("b", 2);
    line.fromBoard("b", bytes("new"));
    assert.equal(line.owedTo("a"), 20);
    outside.room = 1000;
    line.turn();
    assert.equal(text(outside.taken), "read, not read yet, new");
    assert.equal(line.counters.refusedBytes, 8);
    assert.equal(line.owedTo("a"), 0);
  });

  test("a board that does not hold is read, and nothing of it is sent, now or once it holds", () => {
    const { line, b, outside } = makeLine();
    line.settle("a", 1);
    line.fromBoard("b", bytes("noise"));
    b.sent.push(...bytes("more noise"));
    line.settle("b", 2);
    line.fromBoard("b", bytes("mine now"));
    assert.equal(text(outside.taken), "mine now");
    assert.equal(line.counters.refusedBytes, 15);
  });

  test("a takeover that is taken back costs the old holder nothing", () => {
    const { line, a, outside } = makeLine();
    line.settle("a", 1);
    line.fromBoard("a", bytes("before "));
    line.lease("b", 1);
    assert.equal(a.listening, false);
    a.sent.push(...bytes("meanwhile "));
    line.settle("a", 2);
    assert.equal(a.listening, true);
    line.fromBoard("a", a.takeSent());
    assert.equal(text(outside.taken), "before meanwhile ");
    assert.equal(line.counters.refusedBytes, 0);
  });

  test("an epoch that is lower than one before changes nothing", () => {
    const { line } = makeLine();
    line.lease("b", 5);
    const before = line.holding;
    assert.throws(() => line.settle("a", 4), { code: "stale-epoch" });
    assert.throws(() => line.lease("a", 4), { code: "stale-epoch" });
    assert.deepEqual(line.holding, before);
    line.settle("a", 5);
    line.settle(null, 6);
    assert.deepEqual(line.holding, { holder: null, leasedTo: null, epoch: 6 });
  });

  test("a board that does not read keeps what it took; the rest goes to the next one, and the outside has to wait", () => {
    const { line, a, b, outside } = makeLine();
    line.settle("a", 1);
    a.room = 3;
    line.fromOutside(bytes("abcdef"));
    line.fromOutside(Buffer.alloc(bufferBytes, "."));
    assert.equal(outside.listening, false);
    line.settle("b", 2);
    assert.equal(outside.listening, true);
    assert.equal(text(a.taken), "abc");
    assert.equal(text(b.taken), `def${".".repeat(bufferBytes)}`);
  });

  test("a holder has to wait for an outside that takes nothing", () => {
    const { line, a, outside } = makeLine();
    line.settle("a", 1);
    outside.room = 0;
    line.fromBoard("a", Buffer.alloc(bufferBytes));
    assert.equal(a.listening, false);
    outside.room = bufferBytes / 2;
    line.turn();
    assert.equal(a.listening, true);
  });

  test("leases again and again before an outside that takes nothing keep to a bound, and what is lost is counted", () => {
    const { line, a, b, outside } = makeLine();
    outside.room = 0;
    line.settle("a", 1);
    for (let i = 0; i < 8; i++) {
      const [holder, next, end] = i % 2 === 0 ? (["a", "b", a] as const) : (["b", "a", b] as const);
      assert.equal(line.holding.holder, holder);
      end.sent = Array.from({ length: 200_000 }, () => i);
      line.lease(next, i + 1);
      line.settle(next, i + 2);
    }
    const { leavingBytes, lostBytes } = line.counters;
    assert.ok(leavingBytes <= 1024 * 1024 + bufferBytes);
    assert.equal(leavingBytes + lostBytes, 1_600_000);
  });

  test("a wire that ends nowhere takes what is sent, as wires do; a socket keeps it", () => {
    const { line, outside } = makeLine();
    line.settle("a", 1);
    outside.open = false;
    outside.keeps = false;
    line.fromBoard("a", bytes("gone"));
    outside.keeps = true;
    line.fromBoard("a", bytes("kept"));
    outside.open = true;
    line.turn();
    assert.equal(text(outside.taken), "kept");
    assert.equal(line.counters.lostBytes, 4);
  });

  test("a break follows what the old holder sent and precedes the new one, and only a change of the holder makes one", async () => {
    const { line, outside } = makeLine();
    outside.breakMs = 250;
    line.settle("a", 1);
    line.lease("b", 1);
    line.settle("a", 2);
    assert.deepEqual(outside.breaks, []);
    line.fromBoard("a", bytes("old "));
    line.lease("b", 2);
    line.settle("b", 3);
    line.fromBoard("b", bytes("new"));
    assert.deepEqual(outside.breaks, [4]);
    assert.equal(text(outside.taken), "old ");
    outside.endBreak();
    await new Promise(setImmediate);
    assert.equal(text(outside.taken), "old new");
  });

  test("whatever happens in whatever order: nothing is lost, doubled or out of order, and bounds are kept", async () => {
    const board = constantFrom<BoardName>("a", "b");
    const step = oneof(
      record({ do: constant("outside sends"), count: nat(40) }),
      record({ do: constant("board sends"), board, count: nat(40) }),
      record({ do: constant("board reads"), board, count: nat(60) }),
      record({ do: constant("outside reads"), count: nat(60) }),
      record({ do: constant("bytes arrive"), board, count: nat(40) }),
      record({ do: constant("lease"), board }),
      record({ do: constant("settle"), board }),
      record({ do: constant("settle on nobody") }),
      record({ do: constant("board goes"), board }),
      record({ do: constant("board comes"), board }),
      record({ do: constant("outside goes") }),
      record({ do: constant("outside comes") }),
    );
    await forAll(
      asyncProperty(array(step, { maxLength: 60 }), async (steps) => {
        const scene = new Scene();
        for (const each of steps) {
          scene.carryOut(each);
          await scene.check();
        }
        await scene.end();
      }),
      { numRuns: 500 },
    );
  });
});

interface Step {
  readonly do: string;
  readonly board?: BoardName;
  readonly count?: number;
}

/** Knows by the time at which each byte was sent what must become of it. */
class Scene {
  readonly #made = makeLine();
  readonly #line = this.#made.line;
  readonly #outside = this.#made.outside;
  readonly #boards = { a: this.#made.a, b: this.#made.b };
  /** Bytes that were sent from outside, and those that boards took, with whom. */
  readonly #in: number[] = [];
  readonly #taken: number[] = [];
  /** What must leave, in order; what the board that is relieved has sent meanwhile; and how much must be thrown away. */
  readonly #out: number[] = [];
  #meanwhile: number[] = [];
  #relieved: BoardName | null = null;
  #refused = 0;
  #epoch = 0;
  #next = 0;

  constructor() {
    this.#outside.breakMs = 1;
    for (const board of ["a", "b"] as const) {
      this.#boards[board].room = 20;
      this.#boards[board].onTaken = (byte) => {
        assert.equal(this.#line.holding.holder, board, "only the holder is reached");
        this.#taken.push(byte);
      };
    }
    this.#outside.room = 20;
  }

  carryOut({ do: what, board = "a", count = 0 }: Step): void {
    const end = this.#boards[board];
    if (what === "outside sends") {
      const sent = this.#bytes(count);
      this.#in.push(...sent);
      this.#outside.sent.push(...sent);
    } else if (what === "board sends") this.#boardSends(board, count);
    else if (what === "board reads") end.room += count;
    else if (what === "outside reads") this.#outside.room += count;
    else if (what === "bytes arrive") this.#arrive(board, count);
    else if (what === "lease") this.#lease(board);
    else if (what === "settle") this.#settle(board);
    else if (what === "settle on nobody") this.#settle(null);
    else if (what === "board goes" || what === "board comes") end.open = what === "board comes";
    else this.#outside.open = what === "outside comes";
    this.#line.turn();
  }

  async check(): Promise<void> {
    this.#outside.endBreak();
    await Promise.resolve();
    await Promise.resolve();
    const { waitingBytes, leavingBytes } = this.#line.counters;
    assert.ok(waitingBytes <= bufferBytes + 40);
    assert.ok(leavingBytes <= this.#out.length);
    assert.deepEqual(this.#taken, this.#in.slice(0, this.#taken.length), "in: once, and in order");
    const { taken } = this.#outside;
    assert.deepEqual(taken, this.#out.slice(0, taken.length), "out: once, and in order");
  }

  /** Everybody reads, and somebody holds: then nothing is left. */
  async end(): Promise<void> {
    this.#settle("b");
    this.#outside.open = true;
    this.#outside.room = Number.POSITIVE_INFINITY;
    this.#boards.b.open = true;
    this.#boards.b.room = Number.POSITIVE_INFINITY;
    this.#line.turn();
    while (this.#outside.sent.length + this.#boards.a.sent.length + this.#boards.b.sent.length > 0) {
      for (const board of ["a", "b"] as const) this.#arrive(board, 40);
      await this.check();
    }
    await this.check();
    assert.equal(this.#taken.length, this.#in.length);
    assert.equal(this.#outside.taken.length, this.#out.length);
    assert.deepEqual(this.#line.counters, {
      inBytes: this.#in.length,
      outBytes: this.#out.length,
      waitingBytes: 0,
      leavingBytes: 0,
      refusedBytes: this.#refused,
      lostBytes: 0,
    });
  }

  #bytes(count: number): number[] {
    return Array.from({ length: count }, () => this.#next++ % 251);
  }

  #boardSends(board: BoardName, count: number): void {
    const sent = this.#bytes(count);
    this.#boards[board].sent.push(...sent);
    if (this.#line.holding.holder === board) this.#out.push(...sent);
    else if (this.#relieved === board) this.#meanwhile.push(...sent);
    else this.#refused += sent.length;
  }

  /** What was sent is read, in pieces, if it is listened to. */
  #arrive(board: BoardName, count: number): void {
    const end = this.#boards[board];
    if (end.listening && end.sent.length > 0)
      this.#line.fromBoard(board, Buffer.from(end.sent.splice(0, count)));
    if (this.#outside.listening && this.#outside.sent.length > 0)
      this.#line.fromOutside(Buffer.from(this.#outside.sent.splice(0, count)));
  }

  #lease(board: BoardName): void {
    const { holder } = this.#line.holding;
    if (holder !== null) this.#relieved = holder;
    this.#line.lease(board, this.#epoch);
  }

  #settle(board: BoardName | null): void {
    if (board !== null && board === this.#relieved) this.#out.push(...this.#meanwhile);
    else this.#refused += this.#meanwhile.length;
    this.#meanwhile = [];
    this.#relieved = null;
    this.#epoch += 1;
    this.#line.settle(board, this.#epoch);
  }
}
