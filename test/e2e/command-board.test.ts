/** `twinboard logs` and `twinboard console` over a real socket, with and without a terminal. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { resolve } from "node:path";
import { test } from "node:test";
import { type Command, runCommand, startCommand } from "../fixtures/command.ts";
import { ScriptedDaemon } from "../fixtures/scripted-system.ts";

const start = {
  instance: "6f1c1d1e-0000-4000-8000-000000000001",
  version: "2.0.0",
  images: {},
  kernelArguments: "",
};

async function withBoard(): Promise<ScriptedDaemon> {
  const daemon = await ScriptedDaemon.start();
  daemon.system.world.run("a", start);
  return daemon;
}

test("logs: the last lines, also of a board that is dead or was never on", async () => {
  await using daemon = await withBoard();
  const { world } = daemon.system;
  for (const line of ["one", "two"]) world.console("a").say(line);
  world.die("a");
  const ask = (...args: string[]) => runCommand(["logs", ...args, "--socket", daemon.socket]);
  assert.equal((await ask("a")).stdout, "2.0.0 boots\none\ntwo\nkernel panic\n");
  assert.equal((await ask("a", "--lines", "2")).stdout, "two\nkernel panic\n");
  assert.equal((await ask("a", "--lines", "1", "--json")).stdout, '{"line":"kernel panic"}\n');
  const never = await ask("b");
  assert.deepEqual([never.exitCode, never.stdout], [0, ""]);
});

test("logs --follow: each line as it comes, into the board's next run, until Ctrl-C", async () => {
  await using daemon = await withBoard();
  const { world } = daemon.system;
  const command = startCommand(["logs", "a", "--follow", "--lines", "1", "--socket", daemon.socket]);
  await command.said("2.0.0 boots");
  world.console("a").say("serving");
  await command.said("serving");
  world.kill("a");
  world.run("a", { ...start, version: "2.0.1" });
  await command.said("2.0.1 boots");
  command.kill("SIGINT");
  const { exitCode, stdout } = await command.ended;
  assert.deepEqual([exitCode, stdout], [130, "2.0.0 boots\nserving\n2.0.1 boots\n"]);
});

test("logs --follow: a daemon that goes away is told", async () => {
  await using daemon = await withBoard();
  const command = startCommand(["logs", "a", "--follow", "--json", "--socket", daemon.socket]);
  await command.said("boots");
  await daemon.stop();
  const { exitCode, stdout } = await command.ended;
  assert.equal(exitCode, 2);
  assert.equal(
    (JSON.parse(stdout.split("\n")[1] ?? "") as { error: { code: string } }).error.code,
    "daemon-unreachable",
  );
});

test("logs and console: what is not understood is a usage error, what is not there a sentence", async () => {
  await using daemon = await withBoard();
  const at = ["--socket", daemon.socket];
  for (const args of [
    ["logs"],
    ["logs", "c"],
    ["logs", "a", "--lines", "-1"],
    ["logs", "a", "--lines", "ten"],
    ["console", "A"],
    ["logs", "a", "b"],
  ]) {
    const { exitCode, stderr } = await runCommand([...args, ...at]);
    assert.equal(exitCode, 64, args.join(" "));
    assert.match(stderr, /error: /);
  }
  assert.match((await runCommand(["console", "c", ...at])).stderr, /Allowed choices are a, b/);
  for (const verb of ["logs", "console"]) {
    const nobody = await runCommand([verb, "a", "--socket", "/nonexistent.sock"]);
    assert.equal(nobody.exitCode, 2);
    assert.match(nobody.stderr, /no daemon answers on the socket: \/nonexistent\.sock: no such socket\n/);
  }
});

test("console without a terminal: stdin is typed, the output is printed, Ctrl-C detaches", async () => {
  await using daemon = await withBoard();
  const command = startCommand(["console", "a", "--socket", daemon.socket]);
  command.stdin.end("uname -r\n");
  await command.said("uname -r");
  // The end of stdin is not the end of what the board has to say.
  daemon.system.world.console("a").say("6.1.0");
  await command.said("6.1.0");
  command.kill("SIGINT");
  const { exitCode, stdout, stderr } = await command.ended;
  assert.equal(exitCode, 130);
  assert.equal(stdout, "uname -r\r\n6.1.0\r\n");
  assert.equal(stderr, "Attached to the console of board a. Ctrl-C detaches.\r\n\nDetached.\n");
});

test("console: for one at a time, of a board that runs; it ends with the board", async () => {
  await using daemon = await withBoard();
  const { system, socket } = daemon;
  const off = await runCommand(["console", "b", "--socket", socket]);
  assert.equal(off.exitCode, 2);
  assert.match(off.stderr, /^twinboard: the board does not run: board b is off\n/);
  const first = startCommand(["console", "a", "--socket", socket]);
  await first.said("Attached");
  const second = await runCommand(["console", "a", "--socket", socket]);
  assert.equal(second.exitCode, 2);
  assert.match(second.stderr, /^twinboard: somebody is attached to this console: board a\n/);
  const { boards } = await system.status();
  system.changes = { boards: { ...boards, a: { ...boards.a, role: "dormant" } } };
  system.world.console("a").detach("a");
  const { exitCode, stderr } = await first.ended;
  assert.equal(exitCode, 0);
  assert.match(stderr, /\nDetached: board a is dormant\.\n$/);
  // Who is killed leaves the console free.
  const killed = startCommand(["console", "a", "--socket", socket]);
  await killed.said("Attached");
  killed.kill("SIGKILL");
  await assert.rejects(killed.ended, /SIGKILL/);
  const next = startCommand(["console", "a", "--socket", socket]);
  await next.said("Attached");
  await daemon.stop();
  const lost = await next.ended;
  assert.equal(lost.exitCode, 2);
  assert.match(lost.stderr, /no daemon answers on the socket/);
});

/** A terminal of its own by script(1); what is typed goes to its stdin, what is shown comes out. */
function onTerminal(line: string): Command {
  const command = startCommand(["-qfec", line, "/dev/null"], {}, (_, args) => ["script", args]);
  return command;
}

test("console on a terminal: keys go to the board as they are, Ctrl-] detaches, the terminal is as it was", async () => {
  await using daemon = await withBoard();
  const program = resolve(import.meta.dirname, "../../bin/twinboard");
  const line = `stty -g; ${program} console a --socket ${daemon.socket}; echo "ended $?"; stty -g`;
  for (const [keys, exitCode] of [
    ["\u001d", 0],
    ["kill", 130],
  ] as const) {
    const terminal = onTerminal(line);
    await terminal.said("Attached to the console of board a. Ctrl-] detaches.");
    // In raw mode Ctrl-C is a byte as any other.
    terminal.stdin.write("top\u0003\n");
    await terminal.said("top\u0003");
    if (keys === "kill") {
      const { stdout } = spawn("pgrep", ["-f", `console a --socket ${daemon.socket}$`]);
      const [pids] = (await once(stdout, "data")) as [Buffer];
      for (const pid of pids.toString().trim().split("\n")) process.kill(Number(pid), "SIGTERM");
    } else terminal.stdin.write(`lost${keys}not sent`);
    await terminal.said(`ended ${exitCode}`);
    const { stdout } = await terminal.ended;
    const settings = [...stdout.matchAll(/^[0-9a-f]+(?::[0-9a-f]+)+/gm)].map(([text]) => text);
    assert.equal(settings.length, 2, stdout);
    assert.equal(settings[0], settings[1]);
    assert.doesNotMatch(stdout.slice(0, stdout.indexOf("ended")), /not sent/);
  }
  assert.ok((await daemon.system.consoleTail("a", 50)).includes("lost"));
});

test("the API: whoever does not ask for the console's protocol is told how, other protocols are passed over", async () => {
  await using daemon = await withBoard();
  const ask = async (
    method: string,
    path: string,
    headers: Record<string, string>,
  ): Promise<[number, string]> => {
    const asked = request({ socketPath: daemon.socket, method, path, headers });
    asked.end();
    const [response] = (await once(asked, "response")) as [NodeJS.ReadableStream & { statusCode: number }];
    let text = "";
    for await (const chunk of response) text += String(chunk);
    return [response.statusCode, text];
  };
  const plain = await ask("POST", "/v1/boards/a/console", { host: "x", "content-length": "0" });
  assert.equal(plain[0], 400);
  assert.match(plain[1], /expected the headers Connection: Upgrade and Upgrade: twinboard-console/);
  const h2c = await ask("GET", "/v1/status", { host: "x", connection: "Upgrade", upgrade: "h2c" });
  assert.equal(h2c[0], 200);
  const upgrade = { host: "x", connection: "Upgrade", upgrade: "twinboard-console", "content-length": "0" };
  const off = await ask("POST", "/v1/boards/b/console", upgrade);
  assert.deepEqual(
    [off[0], (JSON.parse(off[1]) as { error: { code: string } }).error.code],
    [409, "board-not-running"],
  );
  for (const path of ["/v1/boards/c/log", "/v1/boards/a/log?lines=x", "/v1/boards/a/log?follow=maybe"])
    assert.equal((await ask("GET", path, { host: "x" }))[0], 400, path);
});

test("the API: a client that reads nothing keeps neither the board nor anybody else waiting", async () => {
  await using daemon = await withBoard();
  const { world } = daemon.system;
  const asked = request({
    socketPath: daemon.socket,
    method: "POST",
    path: "/v1/boards/a/console",
    headers: { host: "x", connection: "Upgrade", upgrade: "twinboard-console" },
  });
  asked.end();
  const [, socket] = (await once(asked, "upgrade")) as [unknown, NodeJS.ReadableStream & { destroy(): void }];
  socket.pause();
  const line = "x".repeat(1000);
  for (let count = 0; count < 5000; count += 1) world.console("a").say(line);
  const { stdout } = await runCommand(["logs", "a", "--lines", "1", "--socket", daemon.socket]);
  assert.equal(stdout, `${line}\n`);
  // Nor does the daemon wait for it when it stops.
  await daemon.stop();
  socket.destroy();
});
