import assert from "node:assert/strict";
import { once } from "node:events";
import { chown, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { connectForeign } from "./foreign-socket.ts";
import { run } from "./process.ts";

const uid = process.geteuid?.() ?? 0;

interface Place {
  /** Somebody else's directory, and a name in ours. */
  readonly theirs: string;
  readonly ours: string;
  readonly name: string;
}

async function place(context: TestContext): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-foreign-"));
  context.after(async () => await rm(directory, { recursive: true }));
  const [theirs, ours] = [join(directory, "theirs"), join(directory, "ours")];
  for (const one of [theirs, ours]) await mkdir(one);
  return { theirs, ours, name: join(ours, "link") };
}

async function listen(context: TestContext, path: string): Promise<{ server: Server; connections: number }> {
  const listening = { server: createServer(), connections: 0 };
  listening.server.on("connection", (socket) => {
    listening.connections += 1;
    socket.on("error", () => undefined);
    socket.end("hello");
  });
  listening.server.listen(path);
  context.after(() => listening.server.close());
  await once(listening.server, "listening");
  return listening;
}

test("a socket of that user is connected to, and nothing it says is missed", async (t) => {
  const { theirs, ours, name } = await place(t);
  await listen(t, join(theirs, "socket"));
  const socket = await connectForeign({ path: join(theirs, "socket"), uid }, name);
  assert.deepEqual(await readdir(ours), []);
  let said = "";
  for await (const chunk of socket) said += String(chunk);
  assert.equal(said, "hello");
});

test("what is planted in its place is refused, wherever it leads", async (t) => {
  const { theirs, ours, name } = await place(t);
  const victim = await listen(t, join(theirs, "victim"));
  const planted: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
    link: (path) => symlink(join(theirs, "victim"), path),
    "dangling link": (path) => symlink(join(theirs, "none"), path),
    file: (path) => writeFile(path, ""),
    fifo: (path) => run("mkfifo", [path]),
  };
  for (const [what, plant] of Object.entries(planted)) {
    const path = join(theirs, what);
    await plant(path);
    await assert.rejects(connectForeign({ path, uid }, name), /is not a socket of user/, what);
  }
  await assert.rejects(
    connectForeign({ path: join(theirs, "victim"), uid: uid + 1 }, name),
    /is not a socket of user/,
  );
  await assert.rejects(connectForeign({ path: theirs, uid }, name), { code: "EPERM" });
  await assert.rejects(connectForeign({ path: join(theirs, "absent"), uid }, name), { code: "ENOENT" });
  assert.equal(victim.connections, 0);
  assert.deepEqual(await readdir(ours), []);
});

test("another user's socket is none of that user's, and a socket without a listener refuses", async (t) => {
  const { theirs, name } = await place(t);
  const path = join(theirs, "socket");
  const { server } = await listen(t, path);
  if (uid === 0) {
    await chown(path, 65_534, 65_534);
    await assert.rejects(connectForeign({ path, uid }, name), /is not a socket of user/);
    (await connectForeign({ path, uid: 65_534 }, name)).destroy();
  }
  // Its end takes the name away; a link to it keeps it.
  await run("ln", [path, join(theirs, "left")]);
  server.close();
  await once(server, "close");
  const left = { path: join(theirs, "left"), uid: uid === 0 ? 65_534 : uid };
  await assert.rejects(connectForeign(left, name), { code: "ECONNREFUSED" });
});
