/** The daemon: reads the configuration, picks the drivers, lets the story take up what was left, and serves the API. */
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import type { Server } from "node:http";
import { flushCompileCache } from "node:module";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createApi } from "./api/api.ts";
import { consoleUpgrade } from "./api/console-upgrade.ts";
import { listen } from "./api/listen.ts";
import type { Placed } from "./api/schemas.ts";
import type { BoardName } from "./board/board.ts";
import { compareVersions } from "./bundle/version.ts";
import type { TakeDown } from "./cli/down.ts";
import type { ServeOptions } from "./cli/serve.ts";
import { defaultSocket, socketDirectory } from "./cli/socket.ts";
import { version } from "./cli/version.ts";
import { boardsOf } from "./composition/boards.ts";
import { kindRulesOf } from "./composition/kinds.ts";
import { letGoOfFormer } from "./composition/leased.ts";
import { placeAgain } from "./composition/placement.ts";
import { serviceOf } from "./composition/service.ts";
import type { CheckConfig, Config } from "./config/config.ts";
import { loadConfig } from "./config/load.ts";
import { LocalDelivery } from "./delivery/local.ts";
import { TwinboardError } from "./errors.ts";
import { noteFit, requireFit, tellUnfit, wasFoundFit } from "./fitness.ts";
import { Checks } from "./health/checks.ts";
import { HttpCheck } from "./health/http-check.ts";
import { TcpCheck } from "./health/tcp-check.ts";
import { ReportFiles } from "./report/files.ts";
import { leaveReports } from "./report/leave.ts";
import { DirectorySlot } from "./slot/directory.ts";
import { orAborted } from "./system/abort.ts";
import { findUser } from "./system/accounts.ts";
import { systemClock } from "./system/clock.ts";
import { bootId } from "./system/host.ts";
import { type Lock, takeLock } from "./system/lock.ts";
import { type Log, stdoutLog } from "./system/log.ts";
import { systemNames } from "./system/names.ts";
import { feedWatchdog, notifySystemd } from "./system/notify-systemd.ts";
import { openJournal } from "./upgrade/journal.ts";
import type { Parts } from "./upgrade/scene.ts";
import type { StoryResult } from "./upgrade/status.ts";
import { System } from "./upgrade/system.ts";
import { openSystemFile } from "./upgrade/system-file.ts";

const takeBackTimeoutMs = 60_000;
const hookTimeoutMs = 10_000;
/** How long answers that are under way may still take when the daemon stops. */
const lastAnswersMs = 2000;
const downTimeoutMs = 120_000;
const maxSignatureBytes = 64 * 1024;
/** A bundle's hash tree, signature and file system beside its images, generously. */
const bundleOverheadBytes = 64 * 1024 * 1024;

interface Served {
  readonly system: System;
  readonly config: Config;
  readonly boards: Parts["boards"];
  readonly log: Log;
  /** The host was found fit before this daemon, and was not asked again yet. */
  readonly isKnownFit: boolean;
}

/** Serves a system until SIGTERM, SIGINT or a `down`; boards and rules stay, except after the `down`. */
export async function serve(options: ServeOptions): Promise<void> {
  const config = await loadConfig(options.config);
  const log = stdoutLog();
  if (process.geteuid?.() !== 0) throw new TwinboardError("need-root", { detail: "twinboard serve" });
  const isKnownFit = await wasFoundFit(config);
  if (!isKnownFit) await requireFit(config, log);
  // What the host has come to lack says more than what failed for it.
  const explain = async (error: unknown): Promise<never> => {
    if (isKnownFit) await requireFit(config, log);
    throw error;
  };
  await using lock = await enter(config).catch(explain);
  if (!isKnownFit)
    await noteFit(config).catch((error: unknown) =>
      log("warning", "the next daemon will ask the host again", { reason: String(error) }),
    );
  using end = endOnSignals();
  const parts = await partsOf(config, log).catch(explain);
  const { boards } = parts;
  const system = new System(parts);
  let hasStarted = false;
  try {
    for (const { message } of await letGoOfFormer(config, boards, end.signal)) log("warning", message);
    await Promise.race([system.start(end.signal), lock.lost]);
    hasStarted = true;
    const socket = options.socket ?? defaultSocket(config.system);
    const serving = serveApi({ system, config, boards, log, isKnownFit }, socket, end);
    await Promise.race([serving, lock.lost]);
  } catch (error) {
    // Asked to stop while it was starting: what was begun is taken up by the next daemon.
    if (end.signal.aborted) return;
    if (!hasStarted) await explain(error);
    throw error;
  } finally {
    end.now("failed");
    await system.close();
  }
}

interface End extends Disposable {
  /** Aborts when the daemon is to end. */
  readonly signal: AbortSignal;
  /** Resolves with why. */
  readonly reason: Promise<string>;
  now(reason: string): void;
}

/** A second signal ends the process at once, as it would any other. */
function endOnSignals(): End {
  const controller = new AbortController();
  const { promise: reason, resolve } = Promise.withResolvers<string>();
  const now = (why: string): void => {
    resolve(why);
    controller.abort(new Error(why));
  };
  process.once("SIGTERM", now);
  process.once("SIGINT", now);
  const dispose = (): void => {
    process.off("SIGTERM", now);
    process.off("SIGINT", now);
  };
  return { signal: controller.signal, reason, now, [Symbol.dispose]: dispose };
}

async function serveApi(served: Served, socket: string, end: End): Promise<void> {
  const { system, config, boards, log } = served;
  const taken = Promise.withResolvers<string>();
  const down = async (): Promise<void> => {
    const signal = AbortSignal.any([end.signal, AbortSignal.timeout(downTimeoutMs)]);
    await takeAllDown({ system, config, boards }, signal);
    taken.resolve("down");
  };
  const place = async (): Promise<Placed> => await placeAgain(system, config, end.signal);
  const { fetch } = createApi(system, { down, place, closing: end.signal, version });
  const server = await listen(socket, fetch, consoleUpgrade(system, end.signal));
  narrate(system, log, end.signal).catch((error: unknown) =>
    log("error", "the journal is no longer logged", { reason: String(error) }),
  );
  const untold = (error: unknown): void => log("error", "a report was not left", { reason: String(error) });
  const files = ReportFiles.of(config.stateDirectory);
  const reporting = leaveReports(system, files, end.signal, untold).catch(untold);
  feedWatchdog(end.signal);
  log("notice", "serving", { system: config.system, socket, version });
  await told(log, "READY=1", `STATUS=serving ${config.system}`);
  void settleDown(served, end.signal);
  const reason = await Promise.race([end.reason, taken.promise]);
  const left = reason === "down" ? "nothing is left" : "boards and rules stay";
  log("notice", `stopping; ${left}`, { reason });
  await told(log, "STOPPING=1");
  await close(server, end);
  await reporting;
  await rm(socket, { force: true });
}

/** What can wait until all that was left is taken up: until then the processor is for whoever is to serve. */
async function settleDown({ system, config, log, isKnownFit }: Served, signal: AbortSignal): Promise<void> {
  try {
    await orAborted(system.idle(), signal);
    // A daemon that is killed does not come to keeping what Node compiled of it, and the next one is the one that is in a hurry.
    flushCompileCache();
    if (isKnownFit) await tellUnfit(config, log, signal);
  } catch (error) {
    if (!signal.aborted) log("warning", "the host was not looked at", { reason: String(error) });
  }
}

/** Takes a system down that no daemon serves, whatever else the host lacks by now. Errors: `already-running`, `need-root`. */
export const takeDown: TakeDown = async ({ config: file }) => {
  const config = await loadConfig(file);
  if (process.geteuid?.() !== 0) throw new TwinboardError("need-root", { detail: "twinboard down" });
  await using _ = await enter(config);
  const parts = await partsOf(config, warn);
  const system = new System(parts);
  try {
    const { boards } = parts;
    await takeAllDown({ system, config, boards }, AbortSignal.timeout(downTimeoutMs));
  } finally {
    await system.close();
  }
};

/** What a verb has to say in between. */
const warn: Log = (level, message) => {
  if (level === "error" || level === "warning") process.stderr.write(`${message}\n`);
};

/** Alone with the system from here on. */
async function enter(config: Config): Promise<Lock & AsyncDisposable> {
  await mkdir(socketDirectory, { recursive: true, mode: 0o755 });
  // The state on the disk is one thing, and the names of cards, rules and groups that follow from the system's name another.
  const { runDirectory } = systemNames(config.system);
  const lock = await takeLock([join(config.stateDirectory, "lock"), join(runDirectory, "lock")]);
  return { ...lock, [Symbol.asyncDispose]: () => lock.release() };
}

/** Also what an earlier configuration left. */
async function takeAllDown(
  { system, config, boards }: Pick<Served, "system" | "config" | "boards">,
  signal: AbortSignal,
): Promise<void> {
  await system.down(signal);
  const [failed] = await letGoOfFormer(config, boards, signal, { nothing: true });
  if (failed !== undefined) throw failed;
  await removeRunDirectory(config);
}

async function removeRunDirectory({ system }: Config): Promise<void> {
  await rm(systemNames(system).runDirectory, { recursive: true, force: true });
}

async function partsOf(config: Config, log: Log): Promise<Parts> {
  const { stateDirectory, boards, trust, upgrade } = config;
  const user = await findUser(boards.user);
  if (user === undefined) throw new TwinboardError("internal", { detail: "the user is gone" });
  const pair = both(await boardsOf(config, user, log));
  return {
    boards: pair,
    slots: both(
      (name) =>
        new DirectorySlot(join(stateDirectory, "slots", name), boards.slotBytes, kindRulesOf(config, name)),
    ),
    service: serviceOf(config, user, pair),
    delivery: new LocalDelivery({
      directory: stateDirectory,
      trust: { ...trust, maxSignatureBytes },
      maxBundleBytes: boards.slotBytes + bundleOverheadBytes,
    }),
    health: new Checks(config.health.map(checkOf)),
    journal: await openJournal(join(stateDirectory, "journal")),
    systemFile: await openSystemFile(join(stateDirectory, "system.json")),
    clock: systemClock,
    settings: {
      ...upgrade,
      system: config.system,
      compatible: config.compatible,
      takeBackTimeoutMs,
      hookTimeoutMs,
      failover: config.failover,
      dormancy: config.boards.dormancy,
    },
    boot: await bootId(),
    highestVersion: (floor, other) => (floor !== null && compareVersions(floor, other) > 0 ? floor : other),
    onTrouble: (error) =>
      log("error", `this stopped nothing: ${error instanceof Error ? error.message : String(error)}`),
  };
}

function both<Part>(make: (name: BoardName) => Part): Record<BoardName, Part> {
  return { a: make("a"), b: make("b") };
}

function checkOf({ name, target, ...timing }: CheckConfig): HttpCheck | TcpCheck {
  return target.kind === "http"
    ? new HttpCheck(name, target.port, target.path, timing)
    : new TcpCheck(name, target.port, timing);
}

/** Logs every record as it is written, and keeps systemd's status line true. */
async function narrate(system: System, log: Log, signal: AbortSignal): Promise<void> {
  const { seq } = await system.status();
  for await (const event of system.events(seq, signal)) {
    if (!("record" in event)) continue;
    const { story, phase, event: what, data } = event.record;
    const result = data["result"] as StoryResult | undefined;
    const error = (result ?? (data as Pick<StoryResult, "error">)).error ?? undefined;
    const failed = what === "phase-failed" || (result !== undefined && result.outcome !== "committed");
    const level = failed ? "error" : what === "story-ended" ? "notice" : "info";
    log(level, what, { story, phase, outcome: result?.outcome, code: error?.code, message: error?.message });
    if (what === "phase-began" || what === "story-ended")
      await told(log, `STATUS=${story}: ${phase ?? result?.outcome ?? ""}`);
  }
}

/** systemd is told; if it cannot be, the log is. */
async function told(log: Log, ...assignments: readonly string[]): Promise<void> {
  const failure = await notifySystemd(...assignments);
  if (failure !== undefined)
    log("warning", `systemd was not told ${assignments[0] ?? ""}: ${failure.message}`);
}

/** Ends streams of events at once, and lets answers that are under way come to their end. */
async function close(server: Server, end: End): Promise<void> {
  const closed = once(server, "close");
  server.close();
  end.now("stopped");
  await Promise.race([closed, sleep(lastAnswersMs, undefined, { ref: false })]);
  server.closeAllConnections();
}
