/** The kit, run by this machine's sh with a terminal in the place of the port (script(1) makes one) and a `date` that sets no clock. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../src/system/process.ts";

const limitMs = 20_000;
/** That of timeout(1). */
const droppedExitCode = 124;

interface Kit {
  /** `@DIRECTORY@` of an image's programs. */
  readonly directory: string;
  /** What a host writes to the port. */
  say(text: string): void;
  /** Resolves once the board has said this; what was said up to there is not looked at again. */
  heard(text: string): Promise<string>;
  /** Stops, and begins again, to take from the port what the board writes. */
  listen(listening: boolean): void;
  notify(...lines: string[]): Promise<void>;
}

interface Image {
  readonly hooks?: Readonly<Record<string, string>>;
  /** Text of `/etc/twinboard/alive`. */
  readonly alive?: string;
  /** The kernel command line. */
  readonly cmdline?: string;
  /** Some time passes between the FIFO's making and its opening. */
  readonly slowFifo?: boolean;
  /** Text of a program in the place of twinboard-clock. */
  readonly clock?: string;
  /** It has no terminal that goes with it, as in a board: it must be ended. */
  readonly staysAlone?: boolean;
}

async function startKit(context: TestContext, image: Image = {}): Promise<Kit> {
  const { hooks = {}, alive, cmdline = "quiet", slowFifo, clock, staysAlone } = image;
  const directory = mkdtempSync(join(tmpdir(), "kit-"));
  const program = (path: string, text: string): void => {
    writeFileSync(join(directory, path), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  };
  for (const name of ["bin", "hooks", "run"]) mkdirSync(join(directory, name));
  for (const [name, text] of Object.entries(hooks)) program(`hooks/${name}`, text);
  program("bin/date", `echo "$*" >>${directory}/clock`);
  if (slowFifo === true) program("bin/mkfifo", `/usr/bin/env -i PATH=/usr/bin:/bin mkfifo "$@" && sleep 0.5`);
  if (alive !== undefined) program("alive", alive.replaceAll("@DIRECTORY@", directory));
  if (clock !== undefined) program("clock-program", clock.replaceAll("@DIRECTORY@", directory));
  writeFileSync(join(directory, "cmdline"), `${cmdline}\n`);
  writeFileSync(join(directory, "os-release"), 'IMAGE_VERSION="1.2.3"\n');
  const env = {
    PATH: `${directory}/bin:${process.env["PATH"]}`,
    TWINBOARD_PORT: "/dev/tty",
    TWINBOARD_RUN: join(directory, "run"),
    TWINBOARD_HOOKS: join(directory, "hooks"),
    TWINBOARD_OS_RELEASE: join(directory, "os-release"),
    TWINBOARD_CONSOLE: join(directory, "console"),
    TWINBOARD_CMDLINE: join(directory, "cmdline"),
    TWINBOARD_ALIVE: join(directory, "alive"),
    TWINBOARD_CLOCK: join(directory, "clock-program"),
    TWINBOARD_CLOCK_PORT: "/dev/null",
  };
  const hangUp = staysAlone === true ? "trap '' HUP;" : "";
  const command = `stty raw -echo; ${hangUp} echo up; exec sh ${import.meta.dirname}/twinboard-kit`;
  const child = spawn("script", ["-qfec", command, "/dev/null"], { env, stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "close");
  context.after(async () => await end(child, ended, directory));
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const kit: Kit = {
    directory,
    say: (text) => child.stdin.write(text),
    heard: async (text) => {
      const signal = AbortSignal.timeout(limitMs);
      while (!said.includes(text)) {
        await once(child.stdout, "data", { signal }).catch((error: unknown) => {
          throw new Error(`the board did not say ${JSON.stringify(text)}, but ${JSON.stringify(said)}`, {
            cause: error,
          });
        });
      }
      const end = said.indexOf(text) + text.length;
      const heard = said.slice(0, end);
      said = said.slice(end);
      return heard;
    },
    listen: (listening) => {
      if (listening) child.stdout.resume();
      else child.stdout.pause();
    },
    notify: async (...lines) => {
      await run("sh", [join(import.meta.dirname, "twinboard-notify"), ...lines], {
        env,
        timeoutMs: limitMs,
        allowedExitCodes: [droppedExitCode],
      });
    },
  };
  // From here on the terminal echoes nothing.
  await kit.heard("up\n");
  return kit;
}

async function end(child: ChildProcess, ended: Promise<unknown>, directory: string): Promise<void> {
  // The terminal goes with it, and with the terminal the kit.
  child.stdout?.resume();
  child.kill("SIGKILL");
  await ended;
  rmSync(directory, { recursive: true });
}

test("READY carries the version, and is told again when the host asks", async (t) => {
  const kit = await startKit(t);
  await kit.notify("READY=1", "STATUS=serving");
  const ready = "READY=1\nX_TWINBOARD_VERSION=1.2.3\n";
  assert.equal(await kit.heard("\n\n"), `${ready}STATUS=serving\n\n`);
  kit.say("state\n");
  assert.equal(await kit.heard("\n\n"), `STATUS=serving\n${ready}\n`);
});

test("a board that stops is not ready any more", async (t) => {
  const kit = await startKit(t);
  await kit.notify("READY=1");
  await kit.notify("STOPPING=1");
  await kit.heard("STOPPING=1\n\n");
  kit.say("state\n");
  assert.equal(await kit.heard("\n\n"), "STOPPING=1\n\n");
});

test("a hook runs, its exit status is told, and one that is not there is absent", async (t) => {
  const kit = await startKit(t, { hooks: { activate: "exit 7" } });
  kit.say("hook id-1 activate\nhook id-2 standby\n");
  const said = (await kit.heard("\n\n")) + (await kit.heard("\n\n"));
  assert.match(said, /X_TWINBOARD_HOOK=id-1 7\n\n/);
  assert.match(said, /X_TWINBOARD_HOOK=id-2 absent\n\n/);
});

test("a service that is quicker than the kit is heard all the same", async (t) => {
  const kit = await startKit(t, { slowFifo: true });
  await kit.notify("READY=1");
  await kit.heard("READY=1\n");
});

test("a hook that takes long keeps no other command waiting", async (t) => {
  const kit = await startKit(t, { hooks: { quiesce: "sleep 1000" } });
  await kit.notify("READY=1");
  await kit.heard("\n\n");
  kit.say("hook id-1 quiesce\nstate\n");
  await kit.heard("READY=1\n");
});

test("the clock is set to the second that was told", async (t) => {
  const kit = await startKit(t);
  kit.say("clock c1 1800000000\n");
  assert.equal(await kit.heard("\n\n"), "X_TWINBOARD_CLOCK=c1 0\n\n");
});

test("what is not understood is not answered, and does no harm", async (t) => {
  const kit = await startKit(t);
  await kit.notify("READY=1", "BOGUS=1");
  assert.doesNotMatch(await kit.heard("\n\n"), /BOGUS/);
  const wrong = [
    "",
    "*",
    "hook",
    "hook id-1",
    "hook id ../../bin/sh",
    "hook $(reboot) activate",
    "clock c1 now",
  ];
  kit.say(`${wrong.join("\n")}\n${"x".repeat(1100)}\nstate\n`);
  assert.equal(await kit.heard("\n\n"), "READY=1\nX_TWINBOARD_VERSION=1.2.3\n\n");
});

test("a host that does not read keeps no service waiting, and hears the last state when it asks", async (t) => {
  const kit = await startKit(t);
  await kit.notify("STATUS=first");
  await kit.heard("STATUS=first\n\n");
  kit.listen(false);
  // More than every buffer on the way takes: the terminal's, two pipes', and the kit's FIFO.
  const text = `STATUS=${"x".repeat(900)}`;
  for (let count = 0; count < 400; count += 1) await kit.notify(text);
  await kit.notify("READY=1");
  kit.listen(true);
  kit.say("state\n");
  await kit.heard("READY=1\n");
});

test("a board whose host watches over it says again and again that it lives, and nothing but that", async (t) => {
  const kit = await startKit(t, { cmdline: "quiet twinboard.watchdog=60 twinboard.watchdog=2" });
  for (const _ of [1, 2]) assert.equal(await kit.heard("\n\n"), "WATCHDOG=1\n\n");
});

test("READY is the first sign of life, also when the host asks again", async (t) => {
  const kit = await startKit(t, { cmdline: "twinboard.watchdog=600" });
  await kit.notify("READY=1");
  const ready = "READY=1\nX_TWINBOARD_VERSION=1.2.3\nWATCHDOG=1\n\n";
  assert.equal(await kit.heard("\n\n"), ready);
  kit.say("state\n");
  assert.equal(await kit.heard("\n\n"), ready);
});

test("what is no number of seconds asks for nothing", async (t) => {
  for (const value of ["", "2s", "$(reboot)", "1234567"]) {
    const kit = await startKit(t, { cmdline: `twinboard.watchdog=${value}` });
    await kit.notify("READY=1");
    assert.equal(await kit.heard("\n\n"), "READY=1\nX_TWINBOARD_VERSION=1.2.3\n\n");
  }
});

test("an image's own sign of life must succeed as well", async (t) => {
  // It fails twice, is then too slow, and only then well.
  const alive =
    "cd @DIRECTORY@; echo >>asked; case $(wc -l <asked) in 1 | 2) exit 1 ;; 3) sleep 1000 ;; esac";
  const kit = await startKit(t, {
    alive: `${alive}\n[ "$(wc -l <asked)" -ge 4 ] || exit 1`,
    cmdline: "twinboard.watchdog=2",
  });
  assert.equal(await kit.heard("\n\n"), "WATCHDOG=1\n\n");
});

test("a host that was not there hears the next sign of life", async (t) => {
  const kit = await startKit(t, { cmdline: "twinboard.watchdog=2" });
  kit.listen(false);
  const text = `STATUS=${"x".repeat(900)}`;
  for (let count = 0; count < 100; count += 1) await kit.notify(text);
  kit.listen(true);
  await kit.heard("WATCHDOG=1\n\n");
});

test("the clock's program has its port, and nothing of the notify port; if it ends it is started again", async (t) => {
  const open = "for fd in 3 4; do [ ! -e /proc/$$/fd/$fd ] || open=$fd; done";
  // Its output goes to the board's console.
  const kit = await startKit(t, { clock: `open=none; ${open}; echo "clock $# $1 $open" >/dev/tty` });
  for (const _ of [1, 2]) await kit.heard("clock 1 /dev/null none\n");
});

test("the clock's program goes with the kit", async (t) => {
  const clock = [
    // A child of a shell that has a trap may lose the signal, if it comes before the child is another program.
    "trap 'kill -KILL $!; echo >@DIRECTORY@/ended; exit' TERM",
    "sleep 1000 &",
    // Its parent is one of the kit's loops.
    "sed -n 's/^PPid:[^0-9]*/kit /p' /proc/$PPID/status >/dev/tty",
    "wait",
  ];
  const kit = await startKit(t, { clock: clock.join("\n"), staysAlone: true });
  const [, pid] = /kit (\d+)\n$/.exec(await kit.heard("\n")) ?? [];
  process.kill(Number(pid), "SIGTERM");
  for (
    const deadline = performance.now() + limitMs;
    !existsSync(join(kit.directory, "ended"));
    await sleep(5)
  )
    assert.ok(performance.now() < deadline, "it goes on");
});
