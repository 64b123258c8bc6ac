import assert from "node:assert/strict";
import { test } from "node:test";
import { array, assert as forAll, nat, oneof, property, record, uint8Array } from "fast-check";
import { ByteQueue } from "./byte-queue.ts";

test("what comes out is what went in, whatever is pushed, peeked and dropped in between", () => {
  const push = record({ push: uint8Array({ maxLength: 9000 }) });
  const drop = record({ most: nat(9000), drop: nat(9000) });
  forAll(
    property(array(oneof(push, drop)), (steps) => {
      const queue = new ByteQueue();
      let expected = Buffer.alloc(0);
      for (const step of steps) {
        if ("push" in step) {
          queue.push(step.push);
          expected = Buffer.concat([expected, step.push]);
        } else {
          const seen = queue.peek(step.most);
          assert.ok(
            seen.length <= step.most && (seen.length > 0 || step.most === 0 || expected.length === 0),
          );
          assert.ok(seen.equals(expected.subarray(0, seen.length)));
          queue.drop(step.drop);
          expected = expected.subarray(step.drop);
        }
        assert.equal(queue.size, expected.length);
      }
      for (; queue.size > 0; queue.drop(queue.peek(1000).length)) {
        const seen = queue.peek(1000);
        assert.ok(seen.equals(expected.subarray(0, seen.length)));
        expected = expected.subarray(seen.length);
      }
    }),
  );
});

test("the pusher may use its memory again", () => {
  const queue = new ByteQueue();
  const bytes = Buffer.from("one");
  queue.push(bytes);
  bytes.write("two");
  assert.equal(queue.peek(10).toString(), "one");
});
