import assert from "node:assert/strict";
import { test } from "node:test";
import { anything, assert as forAll, jsonValue, oneof, property, string } from "fast-check";
import { TwinboardError } from "../../errors.ts";
import { readBoard, readNumber, readPort, readRequest } from "./protocol.ts";
import { readSpec } from "./spec.ts";

test("a request is an id, a verb and what goes with it", () => {
  const request = { id: 7, do: "lease", with: { name: "plc", to: "b", epoch: 3 } };
  assert.deepEqual(readRequest(JSON.stringify(request)), request);
  for (const bad of [
    undefined,
    "",
    "null",
    "[]",
    '"x"',
    '{"id":1}',
    '{"id":"1","do":"x","with":{}}',
    '{"id":1,"do":"x","with":null}',
  ])
    assert.throws(() => readRequest(bad), { code: "request-invalid" });
});

test("a line whose name could leave its directory is refused, and so is one of a kind to come", () => {
  const line = { name: "plc", outside: { kind: "listen", endpoint: { path: "/x" } }, bufferBytes: 1 };
  assert.deepEqual(readSpec(line), line);
  for (const change of [
    { name: "../x" },
    { name: "A" },
    { name: "" },
    { outside: { kind: "radio" } },
    { outside: null },
    { bufferBytes: 0 },
    { bufferBytes: "1" },
  ])
    assert.throws(() => readSpec({ ...line, ...change }), { code: "request-invalid" });
});

test("whatever comes is read, or refused by name", () => {
  const readers = [
    (value: unknown) => readRequest(JSON.stringify(value)),
    (value: unknown) => readRequest(String(value)),
    readSpec,
    readBoard,
    readPort,
    (value: unknown) => readNumber(value, "a number"),
  ];
  forAll(
    property(oneof(jsonValue(), string(), anything({ withNullPrototype: false })), (value) => {
      for (const read of readers) {
        try {
          read(value);
        } catch (error) {
          if (error instanceof TwinboardError) assert.equal(error.code, "request-invalid");
          // What cannot even be written is never sent.
          else if (!/BigInt|primitive|circular/i.test(String(error))) throw error;
        }
      }
    }),
  );
});
