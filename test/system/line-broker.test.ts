/** The broker's process: one of a system, found again, told what changes, killed, hung, of another version. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe } from "node:test";
import { linesDirectory } from "../../src/service/line/broker-process.ts";
import { lineFindings } from "../../src/service/line/host.ts";
import { letGoOfLines } from "../../src/service/line/let-go.ts";
import { processStartTicks } from "../../src/system/host.ts";
import { onLine, readings, serial } from "../fixtures/line/lab.ts";

/** What a broker of a version to come would say. */
const newerBroker = `
  const greeting = { broker: "twinboard-lines", protocol: 99, pid: process.pid };
  require("node:net")
    .createServer((socket) => socket.on("error", () => {}).write(JSON.stringify(greeting) + "\\n"))
    .listen(process.argv[1], () => console.log("listening"));
`;

describe("the broker of the lines", { concurrency: 1 }, () => {
  onLine(
    "one broker serves all lines, whoever starts it, outlives the daemon and ends with its last line",
    async (lab, signal) => {
      await lab.plug();
      const feed = {
        name: "feed",
        outside: { kind: "listen", endpoint: { path: join(lab.directory, "feed") } },
      } as const;
      const services = [lab.service(), lab.service(feed), lab.service(), lab.service(feed)];
      await Promise.all(services.map(async (service) => await service.setUp(signal)));
      const pid = await lab.brokerPid();
      const brokers = spawnSync("pgrep", ["-f", linesDirectory(lab.names)])
        .stdout.toString()
        .trim();
      assert.equal(brokers, String(pid));
      const { mode } = await stat(linesDirectory(lab.names));
      assert.equal(mode & 0o777, 0o700);
      await services[0]?.tearDown(signal);
      assert.equal((await lab.service().inspect()).present, false);
      assert.equal((await lab.service(feed).inspect()).present, true);
      await lab.service(feed).tearDown(signal);
      while ((await processStartTicks(pid)) !== undefined) signal.throwIfAborted();
      await assert.rejects(stat(linesDirectory(lab.names)), { code: "ENOENT" });
      assert.equal((await lab.service().inspect()).present, false);
      assert.equal(await lab.service().figures(), null);
      await lab.service(feed).tearDown(signal);
    },
  );

  onLine(
    "lines that the configuration has no more are let go of, and the device has its own settings again",
    async (lab, signal) => {
      await lab.plug();
      const settings = (): string => spawnSync("stty", ["-F", lab.device, "-a"]).stdout.toString();
      spawnSync("stty", ["-F", lab.device, "300", "cs7", "parenb", "echo", "icanon", "hupcl"]);
      const found = settings();
      const service = await lab.begin("a", signal);
      assert.match(settings(), /speed 3000000 baud/);
      assert.match(settings(), / -hupcl/);
      const other = lab.service({
        name: "other",
        outside: { kind: "listen", endpoint: { path: join(lab.directory, "o") } },
      });
      await other.setUp(signal);
      await letGoOfLines(lab.names, { keep: ["other"] }, signal);
      assert.equal((await service.inspect()).present, false);
      assert.equal((await other.inspect()).present, true);
      assert.equal(settings(), found);
    },
  );

  onLine("a changed line has its new settings at once, and keeps its holder", async (lab, signal) => {
    await lab.plug();
    await lab.begin("a", signal);
    const changed = lab.service({
      outside: {
        ...serial,
        device: lab.device,
        baud: 9600,
        stopBits: 2,
        flowControl: "xon-xoff",
        dtr: false,
      },
    });
    await changed.setUp(signal);
    assert.equal((await changed.inspect()).holder, "a");
    const { stdout } = spawnSync("stty", ["-F", lab.device, "-a"]);
    assert.match(stdout.toString(), /speed 9600 baud/);
    // A pseudo terminal has no modem lines.
    assert.match((await changed.inspect()).trouble ?? "", /line: DTR and RTS cannot be set/);
    assert.match(stdout.toString(), / cstopb .* ixon ixoff/s);
  });

  onLine("a broker that was killed is told, and the device is put back all the same", async (lab, signal) => {
    const pty = await lab.plug();
    const settings = (): string => spawnSync("stty", ["-F", lab.device, "-g"]).stdout.toString();
    const found = settings();
    const gone = Promise.withResolvers<void>();
    const service = lab.service({}, gone.resolve);
    await service.setUp(signal);
    await service.settle("a", 7, signal);
    process.kill(await lab.brokerPid(), "SIGKILL");
    await gone.promise;
    const { present, holder, trouble } = await service.inspect();
    assert.deepEqual({ present, holder }, { present: false, holder: null });
    assert.match(trouble ?? "", /broker of the lines has ended/);
    await assert.rejects(service.settle("b", 8, signal), { code: "takeover-failed" });
    await assert.rejects(service.attach("a", signal), { code: "service-not-set-up" });
    await service.setUp(signal);
    for (const board of ["a", "b"] as const) await service.attach(board, signal);
    await service.settle("b", 8, signal);
    const read = readings(lab);
    pty.input.write("again");
    await read.b.is("again", signal);
    process.kill(await lab.brokerPid(), "SIGKILL");
    await service.tearDown(signal);
    assert.equal(settings(), found);
  });

  onLine(
    "of a broker that hangs nothing is carried out late, after what was asked since",
    async (lab, signal) => {
      await lab.plug();
      const service = await lab.begin("a", signal);
      const pid = await lab.brokerPid();
      process.kill(pid, "SIGSTOP");
      const impatience = AbortSignal.timeout(50);
      await assert.rejects(service.lease("b", 1, impatience), { name: "TimeoutError" });
      const takenBack = service.settle("a", 1, signal);
      process.kill(pid, "SIGCONT");
      await takenBack;
      assert.deepEqual(await service.inspect(), {
        present: true,
        holder: "a",
        leasedTo: null,
        epoch: 1,
        trouble: null,
      });
    },
  );

  onLine("down ends a broker that hangs, and puts the device back", async (lab, signal) => {
    await lab.plug();
    const settings = (): string => spawnSync("stty", ["-F", lab.device, "-g"]).stdout.toString();
    const found = settings();
    const service = await lab.begin("a", signal);
    assert.notEqual(settings(), found);
    const pid = await lab.brokerPid();
    process.kill(pid, "SIGSTOP");
    await service.tearDown(signal);
    assert.equal(await processStartTicks(pid), undefined);
    assert.equal(settings(), found);
    await assert.rejects(stat(linesDirectory(lab.names)), { code: "ENOENT" });
  });

  onLine("a broker of another version gives a clear error, and down ends it", async (lab, signal) => {
    const directory = linesDirectory(lab.names);
    await mkdir(directory, { recursive: true });
    const newer = spawn(process.execPath, ["-e", newerBroker, join(directory, "control")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(newer, "exit");
    await once(newer.stdout, "data", { signal });
    const service = lab.service();
    for (const call of [service.setUp(signal), service.inspect(), service.attach("a", signal)])
      await assert.rejects(call, { code: "line-broker-unsuitable", message: /protocol 99, this is 1/ });
    await assert.rejects(service.settle("a", 1, signal), { code: "takeover-failed", message: /protocol 99/ });
    const findings = await lineFindings(lab.names, [
      { name: "plc", bufferBytes: 1, outside: { kind: "connect", endpoint: { path: "/x" } } },
    ]);
    assert.deepEqual(
      findings.map(({ severity, error }) => [severity, error?.code]),
      [
        ["error", "line-broker-unsuitable"],
        ["ok", undefined],
      ],
    );
    await service.tearDown(signal);
    await ended;
    await assert.rejects(stat(directory), { code: "ENOENT" });
  });
});
