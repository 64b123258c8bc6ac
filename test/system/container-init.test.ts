/** A container whose first process cannot be executed: what it died of says so, by whichever runtime. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { runtimeNames } from "../../src/board/container/runtime.ts";
import { unexecutable } from "../fixtures/container/image.ts";
import { makeContainerSubject, whyNoContainers } from "../fixtures/container/subject.ts";

for (const runtime of runtimeNames) {
  const options = { skip: await whyNoContainers(runtime), timeout: 60_000 };

  test(`${runtime}: an init that no kernel can execute`, options, async ({ signal }) => {
    await using subject = await makeContainerSubject({ runtime });
    const { board, software } = subject;
    await board.start({ ...software(), kernelArguments: `init=${unexecutable}` }, signal);
    let condition = await board.inspect();
    for (; condition.state === "running"; condition = await board.inspect())
      await sleep(20, undefined, { signal });
    assert.ok(condition.state === "dead");
    const wanted = `could not be executed; last on its console: ".*${unexecutable}.*"$`;
    assert.match(condition.reason ?? "", new RegExp(wanted));
    await assert.rejects(board.ready(signal), { code: "board-died", message: new RegExp(wanted) });
  });

  test(`${runtime}: an init that there is not`, options, async ({ signal }) => {
    await using subject = await makeContainerSubject({ runtime });
    const { board, software } = subject;
    await assert.rejects(board.start({ ...software(), kernelArguments: "init=/not-there" }, signal), {
      code: "board-start-failed",
      message: /\/not-there/,
    });
    assert.deepEqual(await board.inspect(), { state: "off" });
  });
}
