// That the roots are those of another implementation is shown with RAUC in test/system/bundle.test.ts.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { asyncProperty, assert as check, constantFrom, integer } from "fast-check";
import { TwinboardError } from "../errors.ts";
import { blockBytes, TreeBuilder, TreeChecker, treeBytes, treeLevels } from "./verity.ts";

const salt = Buffer.alloc(32, 7);

function build(payload: Buffer): { tree: Buffer; root: Buffer } {
  const builder = new TreeBuilder(salt);
  builder.add(payload.subarray(0, blockBytes));
  builder.add(payload.subarray(blockBytes));
  return builder.finish();
}

async function verify(payload: Buffer, tree: Buffer, root: Buffer): Promise<string> {
  const blocks = payload.length / blockBytes;
  const checker = new TreeChecker(
    blocks,
    { hash: root.toString("hex"), salt: salt.toString("hex") },
    (position) => Promise.resolve(tree.subarray(position, position + blockBytes)),
  );
  try {
    await checker.check(0, payload);
    return "holds";
  } catch (error) {
    return error instanceof TwinboardError ? error.code : String(error);
  }
}

test("the tree's shape is that of dm-verity", () => {
  assert.deepEqual(treeLevels(2), [1]);
  assert.deepEqual(treeLevels(128), [1]);
  assert.deepEqual(treeLevels(129), [2, 1]);
  assert.deepEqual(treeLevels(128 * 128 + 1), [129, 2, 1]);
  assert.equal(treeBytes(129), 3 * blockBytes);
});

test("a payload holds against its own tree, and no bit of either may change", async () => {
  await check(
    asyncProperty(
      integer({ min: 2, max: 300 }),
      constantFrom("payload", "tree"),
      integer({ min: 0 }),
      async (blocks, where, bit) => {
        const payload = randomBytes(blocks * blockBytes);
        const { tree, root } = build(payload);
        assert.equal(await verify(payload, tree, root), "holds");
        const target = where === "payload" ? payload : tree;
        const at = Math.floor(bit / 8) % target.length;
        target.writeUInt8(target.readUInt8(at) ^ (1 << (bit % 8)), at);
        assert.equal(await verify(payload, tree, root), "bundle-payload-corrupt");
      },
    ),
    { numRuns: 50 },
  );
});
