/** The host's own settings: written down before they are changed, and put back exactly, by whichever daemon comes to it. */
import { readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { TwinboardError } from "../../errors.ts";
import { readFileIfThere, syncDirectory, writeFileAtomically } from "../../system/files.ts";
import { bootId } from "../../system/host.ts";
import { addAddress, cardOfAddress, cards, removeAddress } from "../../system/ip.ts";
import { setLink } from "../../system/links.ts";
import { hasSetting, readSetting, writeSetting } from "../../system/sysctl.ts";

const format = 1;

interface Found {
  readonly format: typeof format;
  /** Settings live as long as the host's boot and the network namespace; what was noted in another is of no use. */
  readonly life: string;
  /** Path below /proc/sys → value before we changed it. */
  readonly settings: Record<string, string>;
  /** Addresses that were added. */
  readonly addresses: { readonly address: string; readonly prefix: number; readonly card: string }[];
  /** Cards that were down; absent in what an earlier version wrote. */
  readonly raised?: readonly string[];
}

export class HostSettings {
  readonly #directory: string;
  readonly #path: string;

  /** `directory` exists and outlives a crash of the daemon. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#path = join(directory, "host.json");
  }

  /** The value that a setting had before we changed it, or has if we did not. */
  async original(setting: string): Promise<string> {
    const found = await this.#read();
    return found.settings[setting] ?? (await readSetting(setting));
  }

  /** The same; `undefined` of a setting of a card that is gone, and that was not changed. */
  async originalIfThere(setting: string): Promise<string | undefined> {
    const { settings } = await this.#read();
    return settings[setting] ?? ((await hasSetting(setting)) ? await readSetting(setting) : undefined);
  }

  /** Makes it so; the first change notes what was there. Errors: `command-failed`. */
  async set(setting: string, value: string): Promise<void> {
    const found = await this.#read();
    const now = await readSetting(setting);
    if (now === value) return;
    if (found.settings[setting] === undefined) {
      await this.#write({ ...found, settings: { ...found.settings, [setting]: now } });
    }
    await writeSetting(setting, value);
  }

  /** Notes settings that the change of another one will change too. Errors: `command-failed`. */
  async note(settings: readonly string[]): Promise<void> {
    const found = await this.#read();
    const more: Record<string, string> = {};
    for (const setting of settings) more[setting] = found.settings[setting] ?? (await readSetting(setting));
    await this.#write({ ...found, settings: { ...found.settings, ...more } });
  }

  /** Gives `card` the address unless the host has it already. Errors: `command-failed`. */
  async lend(address: string, prefix: number, card: string): Promise<void> {
    if ((await cardOfAddress(address)) !== undefined) return;
    const found = await this.#read();
    if (!found.addresses.some((lent) => lent.address === address)) {
      await this.#write({ ...found, addresses: [...found.addresses, { address, prefix, card }] });
    }
    await addAddress(address, prefix, card, "answer");
  }

  /** Takes a card's link up. Errors: `command-failed`. */
  async raise(card: string): Promise<void> {
    const found = await this.#read();
    const raised = found.raised ?? [];
    if (!raised.includes(card)) await this.#write({ ...found, raised: [...raised, card] });
    await setLink(card, ["up"]);
  }

  /** Puts back everything that was noted; repeatable, also after a crash in the middle of it. Errors: `command-failed`. */
  async putBack(): Promise<void> {
    const { settings, addresses, raised = [] } = await this.#read();
    for (const { address, prefix, card } of addresses) await removeAddress(address, prefix, card);
    const present = await cards();
    for (const card of raised) if (present.has(card)) await setLink(card, ["down"]);
    // The last change first: one that changed others is undone before they are.
    for (const [setting, value] of Object.entries(settings).toReversed()) {
      const card = /^net\/ipv[46]\/conf\/([^/]+)\//.exec(setting)?.[1];
      if (card === undefined || card === "all" || card === "default" || present.has(card))
        await writeSetting(setting, value);
    }
    await rm(this.#path, { force: true });
    await syncDirectory(this.#directory);
  }

  async #read(): Promise<Found> {
    const life = `${await bootId()} ${await readlink("/proc/self/ns/net")}`;
    const text = await readFileIfThere(this.#path);
    if (text !== undefined) {
      const found = parse(text, this.#path);
      if (found.life === life) return found;
    }
    return { format, life, settings: {}, addresses: [] };
  }

  async #write(found: Found): Promise<void> {
    await writeFileAtomically(this.#path, `${JSON.stringify(found, undefined, 2)}\n`);
  }
}

function parse(text: string, path: string): Found {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(path, error);
  }
  const found = value as Partial<Found> | null;
  const ok =
    found?.format === format &&
    typeof found.life === "string" &&
    typeof found.settings === "object" &&
    Object.values(found.settings).every((setting) => typeof setting === "string") &&
    Array.isArray(found.addresses);
  if (!ok) throw damaged(path);
  return found as Found;
}

function damaged(path: string, cause?: unknown): TwinboardError {
  return new TwinboardError("system-file-damaged", {
    detail: `${path}: what the host's settings were before Twinboard changed them`,
    cause,
  });
}
