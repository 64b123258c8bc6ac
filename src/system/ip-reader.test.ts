import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { TwinboardError } from "../errors.ts";
import { IpReader } from "./ip-reader.ts";
import { run } from "./process.ts";

interface StandIn extends AsyncDisposable {
  readonly path: string;
  /** How often it was begun as one that is kept, and as one for one table. */
  starts(): Promise<{ kept: number; alone: number }>;
}

/** Stands for ip(8). @param kept what it does where it is kept. @param alone what it does for one table. Both sh(1). */
async function standIn(kept: string, alone: string): Promise<StandIn> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-ip-"));
  const [path, log] = [join(directory, "ip"), join(directory, "log")];
  const cases = `*-batch*) echo kept >>'${log}'; ${kept} ;; *) echo alone >>'${log}'; ${alone} ;;`;
  await writeFile(path, `#!/bin/sh\ncase "$*" in ${cases} esac\n`);
  await chmod(path, 0o755);
  return {
    path,
    starts: async () => {
      const lines = (await readFile(log, "utf8")).split("\n");
      const count = (word: string): number => lines.filter((line) => line === word).length;
      return { kept: count("kept"), alone: count("alone") };
    },
    [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true }),
  };
}

const answer = `echo '[{"ifname":"lo"}]'`;
const lo = [{ ifname: "lo" }];

test("one program answers all readings, each of them with what there is then", async () => {
  await using ip = await standIn(
    `count=0; while read -r table; do count=$((count + 1)); echo "[\\"$table\\",$count]"; done`,
    "exit 1",
  );
  const reader = new IpReader(ip.path);
  const readings = [reader.read("link show"), reader.read("address show"), reader.read("link show")];
  assert.deepEqual(await Promise.all(readings), [
    ["link show", 1],
    ["address show", 2],
    ["link show", 3],
  ]);
  assert.deepEqual(await ip.starts(), { kept: 1, alone: 0 });
});

test("an answer in pieces is read to its end, whatever its pieces end in", async () => {
  await using ip = await standIn(
    `read -r table; printf '[{"ifname":"lo","flags":["UP"]\\n'; sleep 0.1; printf '}]\\n'; read -r table`,
    "exit 1",
  );
  assert.deepEqual(await new IpReader(ip.path).read("link show"), [{ ifname: "lo", flags: ["UP"] }]);
});

test("one that ends without an answer is asked as a program for one table, and another is kept next time", async () => {
  await using ip = await standIn("read -r table; exit 1", answer);
  const reader = new IpReader(ip.path);
  assert.deepEqual(await reader.read("link show"), lo);
  assert.deepEqual(await reader.read("link show"), lo);
  assert.deepEqual(await ip.starts(), { kept: 2, alone: 2 });
});

test("one that answers once and dies is not waited for", async () => {
  await using ip = await standIn(`read -r table; ${answer}`, answer);
  const reader = new IpReader(ip.path, 60_000);
  for (let times = 0; times < 3; times += 1) assert.deepEqual(await reader.read("link show"), lo);
});

test("one that hangs, or whose answer has no end, is ended after its time", async () => {
  for (const kept of ["exec sleep 60", `read -r table; printf '[1,'; exec sleep 60`]) {
    await using ip = await standIn(kept, answer);
    assert.deepEqual(await new IpReader(ip.path, 300).read("link show"), lo);
  }
});

test("where neither answers, the error says what became of the program", async () => {
  await using ip = await standIn("exit 1", "echo 'Cannot send dump request' >&2; exit 2");
  await assert.rejects(new IpReader(ip.path).read("link show"), (error) => {
    assert.ok(error instanceof TwinboardError);
    assert.equal(error.code, "command-failed");
    assert.match(error.message, /link show: exit code 2: Cannot send dump request/);
    return true;
  });
  await assert.rejects(
    new IpReader("/nonexistent/ip").read("link show"),
    (error) => error instanceof TwinboardError && error.code === "missing-program",
  );
});

test("what is no table is an error, and not a host without cards", async () => {
  await using ip = await standIn("exit 1", "echo 'Usage: ip [ OPTIONS ] OBJECT'");
  await assert.rejects(new IpReader(ip.path).read("link show"), /link show: no table in JSON: Usage: ip/);
});

test("a program that has read ends by itself, and its ip with it", async () => {
  const module = join(import.meta.dirname, "ip-reader.ts");
  const script = `import { readIp } from ${JSON.stringify(module)};
    console.log((await readIp("link show")).map(({ ifname }) => ifname).includes("lo"));`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script]);
  assert.equal(stdout.toString(), "true\n");
});
