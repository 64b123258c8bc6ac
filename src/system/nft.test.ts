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

test("changes of every length are carried out as they were said, one after the other", {
  skip: reason,
}, async (t) => {
  const session = new NftSession();
  const table = `twinboard_test_${process.pid}`;
  t.after(async () => {
    await session.change(`delete table inet ${table}`);
    await session.close();
  });
  await session.change(`add table inet ${table}; add set inet ${table} epoch { type mark; }`);
  const add = (numbers: readonly number[]) =>
    session.change(numbers.map((number) => `add element inet ${table} epoch { ${number} }`).join("; "));
  // What is left of a longer change before it must not be read again: here it would be an error, or an element more.
  const many = Array.from({ length: 500 }, (_, index) => index + 100);
  await add(many);
  await session.change(`flush set inet ${table} epoch`);
  await add([1, 2]);
  await add([3]);
  const [set] = (await session.readSets("inet", table)) ?? [];
  assert.deepEqual(
    set?.elements.map(Number).toSorted((one, other) => one - other),
    [1, 2, 3],
  );
  // One statement that cannot be: none of the change takes place.
  const refused = session.change(
    `add element inet ${table} epoch { 9 }; delete element inet ${table} epoch { 77 }`,
  );
  await assert.rejects(refused, /twinboard_test_/);
  const [after] = (await session.readSets("inet", table)) ?? [];
  assert.equal(after?.elements.length, 3);
});

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
