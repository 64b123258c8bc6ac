/**
 * What serial lines and streams need of their host. A device that is not there yet stops nothing: it is a trouble until it is plugged in.
 * Changes nothing, and opens no device: that would move its modem lines.
 */
import { access, constants } from "node:fs/promises";
import { dirname } from "node:path";
import { TwinboardError } from "../../errors.ts";
import { doubtful, type Finding, fine, lacking, unseen } from "../../system/finding.ts";
import { hears, listeners } from "../../system/listeners.ts";
import type { SystemNames } from "../../system/names.ts";
import { brokerProgram, findBroker, linesDirectory } from "./broker-process.ts";
import { deviceKind, driverCounts, isConsole, usersOf, uucpLock } from "./device.ts";
import { endpointText, type LineSpec, type SerialSpec, type StreamSpec } from "./spec.ts";

const brokerTimeoutMs = 2000;

export async function lineFindings(names: SystemNames, lines: readonly LineSpec[]): Promise<Finding[]> {
  const findings = lines.map(async ({ name, outside }) => {
    const where = `services.${name}`;
    return outside.kind === "serial"
      ? await serialFinding(where, outside, names)
      : await streamFinding(where, outside, names);
  });
  const serial = lines.some(({ outside }) => outside.kind === "serial");
  return [
    ...(lines.length === 0 ? [] : await brokerFindings(names)),
    ...(serial ? await packageFindings() : []),
    ...(await Promise.all(findings)),
  ];
}

/** One of an earlier version may be running. */
async function brokerFindings(names: SystemNames): Promise<Finding[]> {
  try {
    (await findBroker(names, AbortSignal.timeout(brokerTimeoutMs)))?.close();
    return [];
  } catch (error) {
    if (!(error instanceof TwinboardError) || error.code !== "line-broker-unsuitable") return [];
    return [lacking("lines", error.code, error.detail ?? "")];
  }
}

async function packageFindings(): Promise<Finding[]> {
  try {
    await import("@serialport/bindings-cpp");
    return [];
  } catch (error) {
    const what = `@serialport/bindings-cpp, which sets up serial lines: ${(error as Error).message.split("\n")[0] ?? ""}`;
    const remedy = `npm has no build of it for ${process.arch} and this C library: npm rebuild @serialport/bindings-cpp`;
    return [lacking("serial lines", "missing-program", what, remedy)];
  }
}

async function serialFinding(where: string, { device }: SerialSpec, names: SystemNames): Promise<Finding> {
  const kind = await deviceKind(device);
  if (kind === "missing")
    return doubtful(
      where,
      `${device} is not there`,
      "plug it in, or name another: see /dev/serial/by-id and ls /dev/tty*",
    );
  if (kind !== "serial") {
    const what = kind === "virtual" ? "a console of the screen" : "no serial device";
    return lacking(
      where,
      "config-invalid",
      `${device} is ${what}`,
      "name a serial device: see /dev/serial/by-id",
    );
  }
  if ((await driverCounts(device))?.found === false)
    return doubtful(
      where,
      `the kernel found no port behind ${device}`,
      "name another: see /proc/tty/driver/serial",
    );
  return (await claimOn(where, device, names)) ?? (await rightsTo(where, device));
}

/** Somebody else's. */
async function claimOn(where: string, device: string, names: SystemNames): Promise<Finding | undefined> {
  if (await isConsole(device))
    return doubtful(
      where,
      `the kernel's own messages go out on ${device}`,
      "boot without console= for it, or name another device",
    );
  const lock = await uucpLock(device);
  if (lock !== undefined)
    return doubtful(where, `process ${lock.pid} has ${device}: ${lock.path}`, `end process ${lock.pid}`);
  const directory = linesDirectory(names);
  const other = (await usersOf(device)).find(
    ({ program }) => !(program.includes(brokerProgram) && program.includes(directory)),
  );
  if (other === undefined) return undefined;
  const getty = /\bgetty\b/.test(other.program);
  return doubtful(
    where,
    `process ${other.pid} (${other.program.slice(0, 100)}) has ${device} open, and takes bytes away`,
    getty ? "systemctl disable --now serial-getty@… for it" : `end process ${other.pid}`,
  );
}

async function rightsTo(where: string, device: string): Promise<Finding> {
  if (process.geteuid?.() !== 0)
    return unseen(where, `who has ${device} open was not seen`, "run this as root");
  try {
    await access(device, constants.R_OK | constants.W_OK);
    return fine(where, `${device} is a serial device, and nobody else has it open`);
  } catch (error) {
    return lacking(where, "need-root", `${device}: ${(error as Error).message}`);
  }
}

async function streamFinding(
  where: string,
  { kind, endpoint }: StreamSpec,
  names: SystemNames,
): Promise<Finding> {
  const at = endpointText(endpoint);
  if (kind === "connect") return fine(where, `it connects to ${at} as soon as somebody listens there`);
  // Its own broker listens there already.
  const serving = await findBroker(names, AbortSignal.timeout(brokerTimeoutMs)).catch(() => undefined);
  serving?.close();
  if (serving !== undefined) return fine(where, `it listens at ${at}`);
  if ("path" in endpoint) {
    const directory = dirname(endpoint.path);
    return (await access(directory, constants.W_OK).then(
      () => true,
      () => false,
    ))
      ? fine(where, `it will listen at ${at}`)
      : doubtful(where, `no socket can be made in ${directory}`, "make the directory, or name another");
  }
  const { host, port } = endpoint;
  const taken = (await listeners("tcp")).find((one) => one.port === port && hears(one, host));
  if (taken === undefined) return fine(where, `nobody else listens at ${at}`);
  const remedy = `see who it is by ss -ltnp 'sport = :${port}'; end it, or give it another port`;
  return lacking(
    where,
    "address-in-use",
    `a program of this host listens on port ${port} of ${taken.address}`,
    remedy,
  );
}
