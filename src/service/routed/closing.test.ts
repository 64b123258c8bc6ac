import assert from "node:assert/strict";
import { test } from "node:test";
import type { Question } from "./ask.ts";
import { Closing, lastCallMs, youngCallMs } from "./closing.ts";
import type { ServiceFlow } from "./flows.ts";
import { Stillness } from "./stillness.ts";

const service = {
  name: "web",
  protocol: "tcp",
  address: "198.51.100.10",
  port: 80,
  drainMs: 30_000,
  quietMs: 1000,
} as const;

function flowOf(id: number, changes: Partial<ServiceFlow> = {}): ServiceFlow {
  return {
    id,
    service,
    state: "ESTABLISHED",
    source: "198.51.100.1",
    sourcePort: 40_000 + id,
    destination: service.address,
    destinationPort: service.port,
    answeredBy: "10.231.0.2",
    answeredPort: 80,
    answeredTo: "198.51.100.1",
    answeredToPort: 40_000 + id,
    packets: 10,
    bytes: 1000,
    mark: 0,
    inRequest: false,
    unheard: false,
    young: false,
    closed: false,
    early: false,
    clientTold: false,
    boardTold: false,
    clientGone: false,
    over: false,
    ...changes,
  };
}

const farMs = 20_000;

/** Flows of which each was last seen to move at 0. */
class Scene {
  readonly closing: Closing;
  readonly #stillness = new Stillness();

  constructor(...flows: readonly ServiceFlow[]) {
    this.closing = new Closing(this.#stillness);
    this.#stillness.note(flows, 0);
  }

  asked(atMs: number, flows: readonly ServiceFlow[], restMs = farMs): readonly Question[] {
    this.#stillness.note(flows, atMs);
    this.closing.learn(flows, atMs);
    const questions = this.closing.questions(flows, atMs, () => restMs);
    this.closing.noteAsked(questions, atMs);
    return questions;
  }
}

function whom(questions: readonly Question[]): string[] {
  return questions.map(({ flow, of, mayClose }) => `${flow.id} ${of}${mayClose ? " closes" : ""}`);
}

test("a flow is asked for its end when it has been still for long enough, and not before", () => {
  const flow = flowOf(1);
  const scene = new Scene(flow);
  assert.deepEqual(whom(scene.asked(999, [flow])), []);
  assert.deepEqual(whom(scene.asked(1000, [flow])), ["1 board closes"]);
});

test("a flow in a request, with an unheard answer, half open, over or cut is left alone", () => {
  const flows = [
    flowOf(1, { inRequest: true }),
    flowOf(2, { unheard: true }),
    flowOf(3, { state: "SYN_RECV" }),
    flowOf(4, { over: true }),
    flowOf(5, { closed: true }),
  ];
  assert.deepEqual(whom(new Scene(...flows).asked(5000, flows)), []);
});

test("a young flow is asked in the last second alone, and only when it is still for long enough", () => {
  const flow = flowOf(1, { young: true });
  assert.deepEqual(whom(new Scene(flow).asked(farMs, [flow], 1100)), []);
  assert.deepEqual(whom(new Scene(flow).asked(999, [flow], 900)), []);
  assert.deepEqual(whom(new Scene(flow).asked(1000, [flow], 900)), ["1 board closes"]);
  assert.equal(youngCallMs({ ...service, drainMs: 2000 }), 500);
  assert.equal(youngCallMs({ ...service, quietMs: 30_000 }), 0);
});

test("in the last three seconds a tenth of a second is enough, unless the service never closes early", () => {
  assert.deepEqual(whom(new Scene(flowOf(1)).asked(90, [flowOf(1)], 2900)), []);
  assert.deepEqual(whom(new Scene(flowOf(1)).asked(110, [flowOf(1)], 2900)), ["1 board closes"]);
  assert.deepEqual(whom(new Scene(flowOf(1)).asked(110, [flowOf(1)], 3100)), []);
  assert.equal(lastCallMs({ ...service, drainMs: 2000 }), 500);
  assert.equal(lastCallMs({ ...service, quietMs: 30_000 }), 0);
});

test("a closed flow is asked once more, for the board's sake, and not too soon", () => {
  const flow = flowOf(1);
  const scene = new Scene(flow);
  scene.asked(1000, [flow]);
  const closed = flowOf(1, { closed: true, early: true, clientTold: true, packets: 11 });
  assert.deepEqual(whom(scene.asked(1100, [closed])), []);
  assert.equal(scene.closing.untilNextMs([closed], 1100), 500);
  assert.deepEqual(whom(scene.asked(1600, [closed])), ["1 board"]);
  assert.equal(scene.closing.isAbandoned(closed), false);
});

test("a board that never answers: the client is asked, then nobody; a closed flow is abandoned", () => {
  const flow = flowOf(1);
  const scene = new Scene(flow);
  const asked = [1000, 1600, 2200, 2800, 3400].map((atMs) => whom(scene.asked(atMs, [flow])).join());
  assert.deepEqual(asked, ["1 board closes", "1 board closes", "1 client closes", "1 client closes", ""]);
  const closed = flowOf(2, { closed: true, early: true, clientTold: true });
  const other = new Scene(closed);
  for (const atMs of [1000, 1600, 2200]) assert.deepEqual(whom(other.asked(atMs, [closed])), ["2 board"]);
  assert.equal(other.closing.isAbandoned(closed), true);
});

test("a request that came first starts everything anew", () => {
  const flow = flowOf(1);
  const scene = new Scene(flow);
  scene.asked(1000, [flow]);
  const moved = flowOf(1, { packets: 14, bytes: 3000 });
  assert.deepEqual(whom(scene.asked(1700, [moved])), []);
  assert.equal(scene.closing.untilNextMs([moved], 1700), Number.POSITIVE_INFINITY, "no time is known for it");
  assert.deepEqual(whom(scene.asked(2700, [moved])), ["1 board closes"]);
});

test("where only some are answered the waves get smaller and wait, and nobody is taken to be mute", () => {
  const flows = Array.from({ length: 1000 }, (_, index) => flowOf(index));
  const scene = new Scene(...flows);
  assert.equal(scene.asked(1000, flows).length, 1000);
  const closed = { closed: true, early: true, clientTold: true, packets: 11 } as const;
  const after = flows.map((flow) => (flow.id < 100 ? flowOf(flow.id, closed) : flow));
  assert.equal(scene.asked(1100, after).length, 0, "within the second of the limit");
  const second = scene.asked(2200, after);
  assert.equal(second.length, 100);
  assert.ok(
    second.every(({ flow }) => flow.closed),
    "half closed ones first",
  );
  const rest = after.slice(100);
  const third = scene.asked(2900, rest);
  assert.ok(third.length >= 100 && third.every(({ of, mayClose }) => of === "board" && mayClose));
});
