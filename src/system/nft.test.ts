import assert from "node:assert/strict";
import { test } from "node:test";
import { TwinboardError } from "../errors.ts";
import { NftSession } from "./nft.ts";

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
