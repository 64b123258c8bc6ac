import assert from "node:assert/strict";
import { test } from "node:test";
import { TwinboardError } from "../errors.ts";
import { NftSession, setsOf } from "./nft.ts";

const reason = process.getuid?.() === 0 ? false : "needs root: nft asks the kernel for its tables";

for (const terminal of [undefined, "unknown", "dumb"]) {
  test(`a session begins without a complaint where TERM is ${terminal ?? "not set"}`, {
    skip: reason,
  }, async (t) => {
    const before = process.env["TERM"];
    t.after(() => {
      if (before === undefined) delete process.env["TERM"];
      else process.env["TERM"] = before;
    });
    if (terminal === undefined) delete process.env["TERM"];
    else process.env["TERM"] = terminal;
    const session = new NftSession();
    t.after(() => session.close());
    await session.warmUp();
    // Deleting what is not there changes nothing, and the only thing told is that.
    await assert.rejects(session.change("delete table inet twinboard_no_such_table"), (error) => {
      assert.ok(error instanceof TwinboardError);
      assert.match(error.message, /No such file or directory/);
      return true;
    });
  });
}

const set = (family: string, table: string, elements: readonly number[]) => ({
  set: { family, table, name: "epoch", type: "mark", handle: 1, elem: elements },
});

test("sets of other tables are not taken for those of the table that was asked for", () => {
  // As nft 1.0.6 answers to `list sets table inet twinboard_2`.
  const json = JSON.stringify({
    nftables: [
      { metainfo: { version: "1.0.6", json_schema_version: 1 } },
      set("inet", "twinboard_1", [3]),
      set("ip", "twinboard_2", [7]),
      set("inet", "twinboard_2", [1]),
    ],
  });
  assert.deepEqual(setsOf(json, "inet", "twinboard_2"), [{ name: "epoch", elements: [1] }]);
  assert.deepEqual(setsOf(json, "inet", "twinboard_3"), []);
});
