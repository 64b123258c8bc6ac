/**
 * Runs the tests of one file in this process, and tells each result on a file descriptor of its own, one JSON line each.
 * Started by `test/spawn-file.ts`, in a process namespace of its own where that is possible: then every other process
 * that is still there at the end, and every network namespace with a name, was left behind by the tests.
 */
import { existsSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import { run } from "node:test";
import { inspect } from "node:util";
import { eventsFd, type FileEvent } from "./file-event.ts";

/** How long processes that were told to end may take to be gone. */
const graceMs = 3_000;

function tell(event: FileEvent): void {
  // To node:readline U+2028 and U+2029 end a line.
  const json = JSON.stringify(event).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
  const line = Buffer.from(`${json}\n`);
  for (let written = 0; written < line.length; ) written += writeSync(eventsFd, line, written);
}

/** Everything here but the namespace's first process, ourselves, and what is dead already. */
function processesLeft(): string[] {
  const left: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    if (pid === "1" || Number(pid) === process.pid) continue;
    try {
      const state = /\) (.)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      if (state !== "Z" && state !== "X")
        left.push(`process ${command.replaceAll("\0", " ").trim().slice(0, 200)}`);
    } catch {
      // It ended while we looked.
    }
  }
  return left;
}

function namespacesLeft(): string[] {
  return existsSync("/run/netns") ? readdirSync("/run/netns").map((name) => `network namespace ${name}`) : [];
}

function leftBehind(): string[] {
  const end = performance.now() + graceMs;
  let left = processesLeft();
  while (left.length > 0 && performance.now() < end) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    left = processesLeft();
  }
  return [...left, ...namespacesLeft()];
}

const [file = "", isolated = "no"] = process.argv.slice(2);
process.on("exit", () => {
  if (isolated === "yes") for (const what of leftBehind()) tell({ type: "left", what });
});

// Node fails the process for an error that was thrown after its test had ended, and does not say which.
process.on("uncaughtExceptionMonitor", (error) => process.stderr.write(`${inspect(error)}\n`));

for await (const { type, data } of run({ files: [resolve(file)], isolation: "none" })) {
  if (type === "test:dequeue") tell({ type: "began", name: data.name });
  // Node counts a file without tests as a test with the file's name.
  if (type === "test:pass" && data.details.type !== "suite" && data.name !== resolve(file)) {
    if (data.skip === undefined && data.todo === undefined) tell({ type: "passed", name: data.name });
    else {
      const reason = data.skip ?? data.todo;
      tell({ type: "skipped", name: data.name, reason: typeof reason === "string" ? reason : null });
    }
  }
  if (type === "test:fail") {
    const { error } = data.details;
    // A suite or a parent fails with its parts, which were told already.
    if ("failureType" in error && error.failureType === "subtestsFailed") continue;
    const where = `${data.file ?? file}:${data.line ?? 1}`;
    tell({
      type: "failed",
      name: data.name,
      detail: `${where}\n${inspect(error.cause ?? error, { depth: 6 })}`,
    });
  }
}
tell({ type: "ended" });
