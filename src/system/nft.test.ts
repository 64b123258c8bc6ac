import assert from "node:assert/strict";
import { test } from "node:test";
import { setsOf } from "./nft.ts";

const set = (family: string, table: string, elements: readonly number[]) => ({
  set: { family, table, name: "epoch", type: "mark", handle: 1, elem: elements },
});

test("sets of other tables are not taken for those of the table that was asked for", () => {
  // As nft 1.0.6 answers to `list sets table inet twinboard_2`.
  const json = Buffer.from(
    JSON.stringify({
      nftables: [
        { metainfo: { version: "1.0.6", json_schema_version: 1 } },
        set("inet", "twinboard_1", [3]),
        set("ip", "twinboard_2", [7]),
        set("inet", "twinboard_2", [1]),
      ],
    }),
  );
  assert.deepEqual(setsOf(json, "inet", "twinboard_2"), [{ name: "epoch", elements: [1] }]);
  assert.deepEqual(setsOf(json, "inet", "twinboard_3"), []);
});
