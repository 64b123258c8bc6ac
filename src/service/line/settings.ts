/** The settings of a serial device as it was found: kept before they are changed, and put back. By stty(1), of GNU coreutils. */
import { constants } from "node:fs";
import { open, rm } from "node:fs/promises";
import { readFileIfThere, writeFileAtomically } from "../../system/files.ts";
import { run } from "../../system/process.ts";

interface Kept {
  readonly device: string;
  /** As `stty -g` prints it. */
  readonly settings: string;
}

const timeoutMs = 5000;

/** In the directory of the lines. */
export function settingsFile(line: string): string {
  return `${line}.settings`;
}

/**
 * Keeps them in `file`, unless what it has is of the same device: that is how it was found. The device is open already: to open and close
 * it would drop DTR (termios(3), HUPCL). Errors: `command-failed`, `missing-program`, `deadline-passed`.
 */
export async function keepSettings(device: string, file: string): Promise<void> {
  if ((await kept(file))?.device === device) return;
  const { stdout } = await run("stty", ["-F", device, "-g"], { timeoutMs });
  await writeFileAtomically(file, JSON.stringify({ device, settings: stdout.toString().trim() }));
}

/** The modem lines stay as they are when the device is closed: a broker that starts again is no modem that hung up. */
export async function stayWithoutHangup(device: string): Promise<void> {
  await run("stty", ["-F", device, "-hupcl"], { timeoutMs });
}

/**
 * Puts them back, if they were kept; a device that is gone has none any more. `meanwhile` lets go of the device, which is held open by then.
 * Repeatable.
 */
export async function putBackSettings(file: string, meanwhile?: () => Promise<void>): Promise<void> {
  const found = await kept(file);
  const flags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;
  const handle = found === undefined ? undefined : await open(found.device, flags).catch(() => undefined);
  try {
    await meanwhile?.();
    if (found !== undefined && handle !== undefined)
      await run("stty", ["-F", found.device, found.settings], { timeoutMs }).catch(() => undefined);
    await rm(file, { force: true });
  } finally {
    await handle?.close();
  }
}

async function kept(file: string): Promise<Kept | undefined> {
  try {
    const { device, settings } = JSON.parse((await readFileIfThere(file)) ?? "null") as Kept;
    return /^[0-9a-f:]+$/.test(settings) ? { device, settings } : undefined;
  } catch {
    return undefined;
  }
}
