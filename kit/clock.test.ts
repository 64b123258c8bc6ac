/**
 * The kit's clock program, compiled and run here, with a terminal in the place of its port (script(1) makes one). It may not set this
 * machine's clock: it is run without that right (capabilities(7), CAP_SYS_TIME), or not at all, and is told the time that it is.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, type TestContext, test } from "node:test";
import fc from "fast-check";
import { compileClock } from "../demo/images/clock.ts";
import { TwinboardError } from "../src/errors.ts";
import { run } from "../src/system/process.ts";

const limitMs = 20_000;
/** errno(3): EPERM, EINVAL. */
const notPermitted = "1";
const invalid = "22";
const endOfFile = "\x04";
const source = join(import.meta.dirname, "twinboard-clock.c");
const directory = mkdtempSync(join(tmpdir(), "clock-"));
after(() => rmSync(directory, { recursive: true }));

/** What docs/board-kit.md tells to compile it by, and with every warning an error. */
const strictly = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-std=c99"];
const freestanding = ["-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector"];
const compilers: Readonly<Record<string, (target: string) => Promise<unknown>>> = {
  tcc: compileClock,
  "gcc -O0": (target) => run("gcc", [...strictly, ...freestanding, "-O0", "-o", target, source]),
  "gcc -O2": (target) => run("gcc", [...strictly, ...freestanding, "-O2", "-o", target, source]),
};

/** The program; or why there is none. */
async function compiled(name: string): Promise<{ readonly program: string } | { readonly skip: string }> {
  const program = join(directory, name.replaceAll(" ", ""));
  try {
    await compilers[name]?.(program);
    return { program };
  } catch (error) {
    if (error instanceof TwinboardError && error.code === "missing-program")
      return { skip: `${name} is not installed` };
    throw error;
  }
}

/**
 * A line discipline that knows an end of file, and nothing else: ^D makes what the host does when it lets go of the port. Root gives up the
 * right to set the clock, and whoever still has it afterwards does not go on.
 */
const harmlessly = `stty -echo -onlcr -isig -ixon
caps=$(sed -n 's/^CapEff:\\t//p' /proc/self/status)
[ $(((0x$caps >> 25) & 1)) = 0 ] || exit 99
echo up
exec "$0" /dev/tty`;
const withoutRight = ["--bounding-set", "-sys_time", "--inh-caps", "-sys_time"];

interface Clock {
  say(text: string): void;
  /** Resolves once so many lines were said that were not looked at yet, with these. */
  heard(lines: number): Promise<string[]>;
  listen(listening: boolean): void;
}

async function startClock(context: TestContext, program: string): Promise<Clock> {
  const words = ["sh", "-c", harmlessly, program];
  const drop = process.geteuid?.() === 0 ? ["setpriv", ...withoutRight] : [];
  const command = [...drop, ...words].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const child = spawn("script", ["-qfec", command, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  // What it had no time to take is lost with it.
  child.stdin.on("error", () => undefined);
  context.after(async () => await end(child));
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const clock: Clock = {
    say: (text) => child.stdin.write(text),
    heard: async (count) => {
      const signal = AbortSignal.timeout(limitMs);
      for (;;) {
        const lines = said.split("\n");
        if (lines.length > count) {
          said = lines.slice(count).join("\n");
          return lines.slice(0, count);
        }
        await once(child.stdout, "data", { signal }).catch((cause: unknown) => {
          throw new Error(`the program said ${JSON.stringify(said)}, not ${count} lines`, { cause });
        });
      }
    },
    listen: (listening) => {
      if (listening) child.stdout.resume();
      else child.stdout.pause();
    },
  };
  assert.deepEqual(await clock.heard(1), ["up"]);
  return clock;
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, "close");
  // The terminal goes with it, and with the terminal the program.
  child.stdout?.resume();
  child.kill("SIGKILL");
  await ended;
}

const now = (): string => `${Math.floor(Date.now() / 1000)} ${Date.now() % 1000}000000`;

for (const name of Object.keys(compilers)) {
  const found = await compiled(name);
  const { program, skip } = { program: "", skip: false as const, ...found };
  describe(`twinboard-clock by ${name}`, { skip }, () => {
    test("what Linux says to the time is the answer, under the id of the question", async (t) => {
      const clock = await startClock(t, program);
      const longest = "Z".repeat(32);
      clock.say(`c1 ${now()}\nA-9 ${now()}\n${longest} ${now()}\nc2 1 1000000000\n`);
      assert.deepEqual(await clock.heard(4), [
        `c1 ${notPermitted}`,
        `A-9 ${notPermitted}`,
        `${longest} ${notPermitted}`,
        `c2 ${invalid}`,
      ]);
    });

    test("what is no time is not answered, however long it is", async (t) => {
      const clock = await startClock(t, program);
      const wrong = [
        "",
        " ",
        "c1",
        `c1 ${now()} `,
        ` c1 ${now()}`,
        `c1  ${now()}`,
        "c1 1 ",
        "c1 1 2 3",
        "c1 -1 0",
        "c1 1 -1",
        "c1 1.5 0",
        "c1 1x 0",
        `c/1 ${now()}`,
        `${"i".repeat(33)} ${now()}`,
        `c1 ${"1".repeat(13)} 0`,
        `c1 1 ${"0".repeat(11)}`,
        `c1 1 ${"0".repeat(3000)}`,
        "x".repeat(3000),
      ];
      clock.say(`${wrong.join("\n")}\nlast ${now()}\n`);
      assert.deepEqual(await clock.heard(1), [`last ${notPermitted}`]);
    });

    test("lines of every kind, cut into pieces anywhere: each that is a time has one answer, in order", async (t) => {
      const clock = await startClock(t, program);
      const id = fc.stringMatching(/^[A-Za-z0-9-]{1,32}$/);
      const kinds = fc.oneof(
        id.map((text) => ({ line: `${text} ${now()}`, answer: `${text} ${notPermitted}` })),
        id.map((text) => ({ line: `${text} 1 ${"9".repeat(10)}`, answer: `${text} ${invalid}` })),
        fc.stringMatching(/^[ -~]{0,200}$/).map((line) => ({ line, answer: undefined })),
        fc.stringMatching(/^[a-z] [0-9]{13,40} [0-9]+$/).map((line) => ({ line, answer: undefined })),
      );
      const property = fc.asyncProperty(fc.array(kinds, { maxLength: 20 }), async (lines) => {
        // By chance it might be one: then it is told apart.
        const sure = lines.filter(({ line, answer }) => answer !== undefined || !/^\S+ \d+ \d+$/.test(line));
        clock.say(`${[...sure.map(({ line }) => line), `end ${now()}`].join("\n")}\n`);
        const expected = [
          ...sure.flatMap(({ answer }) => (answer === undefined ? [] : [answer])),
          `end ${notPermitted}`,
        ];
        assert.deepEqual(await clock.heard(expected.length), expected);
      });
      await fc.assert(property, { numRuns: 50 });
    });

    test("a host that lets go of the port is waited for, and what it had half said is void", async (t) => {
      const clock = await startClock(t, program);
      // The first ^D hands on what was typed of the line; the second, at no line's beginning either, is an end of file.
      clock.say(`half 1${endOfFile}`);
      for (let count = 0; count < 3; count += 1) clock.say(endOfFile);
      assert.deepEqual(await clock.heard(1), [""]);
      clock.say(`whole ${now()}\n`);
      const said: string[] = [];
      while (said.at(-1) !== `whole ${notPermitted}`) said.push(...(await clock.heard(1)));
      assert.deepEqual(
        said.filter((line) => line !== ""),
        [`whole ${notPermitted}`],
      );
    });

    test("a host that asks without end and does not read is answered when it does", async (t) => {
      const clock = await startClock(t, program);
      clock.listen(false);
      const count = 2000;
      for (let id = 0; id < count; id += 1) clock.say(`${id} ${now()}\n`);
      clock.listen(true);
      // What a terminal's queue has no room for, it drops; a virtio port would make the host wait.
      const first = await clock.heard(10);
      assert.deepEqual(
        first,
        first.map((_, id) => `${id} ${notPermitted}`),
      );
      clock.say("\n");
      for (let said = ""; said !== `z ${notPermitted}`; [said = ""] = await clock.heard(1))
        clock.say(`z ${now()}\n`);
    });

    test("a call that is wrong, and a port that is not there, end it", async () => {
      const failing = { allowedExitCodes: [1, 64] };
      assert.equal((await run(program, [], failing)).exitCode, 64);
      assert.equal((await run(program, ["a", "b"], failing)).exitCode, 64);
      assert.equal((await run(program, [join(directory, "none")], failing)).exitCode, 1);
    });
  });
}
