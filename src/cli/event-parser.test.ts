import assert from "node:assert/strict";
import { test } from "node:test";
import { array, asyncProperty, assert as forAll, nat, record, string } from "fast-check";
import { parseEvents, type ServerEvent } from "./event-parser.ts";

async function* cut(text: string, places: readonly number[]): AsyncGenerator<string> {
  let from = 0;
  for (const place of places.map((n) => n % (text.length + 1)).toSorted((one, other) => one - other)) {
    yield text.slice(from, place);
    from = place;
  }
  yield text.slice(from);
}

async function parsed(text: string, places: readonly number[] = []): Promise<ServerEvent[]> {
  return await all(cut(text, places));
}

async function all(chunks: AsyncIterable<string>): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of parseEvents(chunks)) events.push(event);
  return events;
}

async function* endless(): AsyncGenerator<string> {
  for (;;) yield "data: ".padEnd(65_536, "x");
}

test("events, comments, several data lines, an id that stays", async () => {
  const text =
    ": still here\n\nevent: record\nid: 7\ndata: {\ndata:  }\n\nretry: 3\ndata:x\n\nevent: lost\n\ndata: unfinished\n";
  assert.deepEqual(await parsed(text), [
    { event: "record", id: "7", data: "{\n }" },
    { event: "message", id: "7", data: "x" },
  ]);
});

test("an event without an end is refused at its limit", async () => {
  await assert.rejects(all(endless()), { code: "request-too-large" });
});

test("what was written is read, however the stream is cut", async () => {
  const event = record({ data: string(), id: nat() });
  await forAll(
    asyncProperty(array(event), array(nat()), async (events, places) => {
      const sent = events.map(({ data, id }) => ({
        event: "record",
        data: JSON.stringify(data),
        id: `${id}`,
      }));
      const text = sent.map((one) => `event: ${one.event}\nid: ${one.id}\ndata: ${one.data}\n\n`).join("");
      assert.deepEqual(await parsed(text, places), sent);
    }),
  );
});
