/** Peers and programs that do to a stream what they should not: it is told, and the line works again once they stop. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { describe } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { LineService } from "../../src/service/line/line-service.ts";
import { type LineLab, onLine, readings } from "../fixtures/line/lab.ts";

async function untilTrouble(service: LineService, told: RegExp | null, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { trouble } = await service.inspect();
    if (told === null ? trouble === null : told.test(trouble ?? "")) return;
    await sleep(50, undefined, { signal });
  }
}

async function begin(lab: LineLab, signal: AbortSignal): Promise<{ service: LineService; path: string }> {
  const path = join(lab.directory, "feed");
  const service = await lab.begin("a", signal, { outside: { kind: "listen", endpoint: { path } } });
  return { service, path };
}

async function connected(path: string): Promise<Socket> {
  const socket = connect(path).on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

describe("odd peers of a stream", { concurrency: 1 }, () => {
  onLine(
    "a client that never reads is told, and what it did not take reaches it when it does",
    async (lab, signal) => {
      const { service, path } = await begin(lab, signal);
      const client = (await connected(path)).pause();
      await untilTrouble(service, null, signal);
      const sent = Buffer.alloc(1024 * 1024, "x");
      const all = lab.boards.a.send(sent);
      await untilTrouble(service, /the outside takes nothing: \d+ bytes from the boards wait for it/, signal);
      let read = 0;
      client.on("data", (bytes: Buffer) => (read += bytes.length));
      client.resume();
      await all;
      while (read < sent.length) await sleep(20, undefined, { signal });
      assert.equal(read, sent.length);
      await untilTrouble(service, null, signal);
      client.destroy();
    },
  );

  onLine(
    "a socket whose name somebody clears away gets it again, and who is connected stays so",
    async (lab, signal) => {
      const { service, path } = await begin(lab, signal);
      const first = await connected(path);
      await untilTrouble(service, null, signal);
      await rm(path);
      while (!(await readdir(lab.directory)).includes("feed")) await sleep(50, undefined, { signal });
      const { a } = readings(lab);
      first.write("still there");
      await a.is("still there", signal);
      assert.equal((await service.inspect()).trouble, null);
      first.destroy();
      await untilTrouble(service, /^nobody is connected/, signal);
      const second = await connected(path);
      second.write(", again");
      await a.is("still there, again", signal);
      second.destroy();
    },
  );

  onLine("a name that is another program's by then is left to it", async (lab, signal) => {
    const { service, path } = await begin(lab, signal);
    await rm(path);
    await writeFile(path, "somebody's");
    await untilTrouble(service, /feed is another program's by now/, signal);
    await service.tearDown(signal);
    assert.equal(await readFile(path, "utf8"), "somebody's");
  });
});
