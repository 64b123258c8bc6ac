/**
 * A device with one board that is upgraded the traditional way, as a process to be run in a network namespace:
 * `node single-board.ts OPTIONS`, OPTIONS a JSON object. It is made of the same parts: the same board, the same slot and bundles.
 * Writes `{"ready": true}` once the first software is up; a line on stdin makes it stop, install and boot, and it writes when each was
 * done. Ends, and removes what it made, when stdin does.
 */
import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import type { Board } from "../src/board/board.ts";
import { ContainerBoard } from "../src/board/container/container-board.ts";
import { chooseRuntime } from "../src/board/container/runtime.ts";
import type { BoardIdentity } from "../src/board/identity.ts";
import { chooseAccelerator } from "../src/board/qemu/accelerator.ts";
import { architectureOf } from "../src/board/qemu/architecture.ts";
import { QemuBoard } from "../src/board/qemu/qemu-board.ts";
import type { SignedBundle } from "../src/bundle/bundle.ts";
import { readSignedBundle } from "../src/bundle/read.ts";
import { DirectorySlot } from "../src/slot/directory.ts";
import type { SlotContent } from "../src/slot/slot.ts";
import { addAddress, pointTo } from "../src/system/ip.ts";
import { systemNames } from "../src/system/names.ts";
import { writeSetting } from "../src/system/sysctl.ts";
import type { ServiceAddress } from "./addresses.ts";
import type { BoardKind } from "./images/rootfs.ts";

export interface SingleBoardOptions {
  readonly system: string;
  readonly kind: BoardKind;
  readonly directory: string;
  readonly keyring: string;
  /** Paths of the bundles: what it starts with, and what comes. */
  readonly first: string;
  readonly second: string;
  readonly memoryBytes: number;
  /** What the outside reaches the board by: it has the addresses itself, and the device passes packets on. */
  readonly addresses: readonly ServiceAddress[];
}

/** Milliseconds since 1970 at which each step began, and at which the board was ready. */
export interface SingleBoardTimes {
  readonly stop: number;
  readonly write: number;
  readonly boot: number;
  readonly ready: number;
}

const limitMs = 120_000;
const slotBytes = 1024 ** 3;
const maxSignatureBytes = 64 * 1024;
const nobody = { uid: 65_534, gid: 65_534 };

const options = JSON.parse(process.argv[2] ?? "") as SingleBoardOptions;
const { addresses, directory } = options;
const names = systemNames(options.system, directory);
const slot = new DirectorySlot(`${directory}/slot`, slotBytes, {
  allowed: [options.kind],
  lacks: {},
});
const card = names.card("a", "service");
const deadline = (): AbortSignal => AbortSignal.timeout(limitMs);

const board = await makeBoard();

async function makeBoard(): Promise<Board> {
  const made = {
    name: "a",
    names,
    memoryBytes: options.memoryBytes,
    cpus: 1,
    identity: identity(),
    stateDirectory: `${directory}/state`,
  } as const;
  if (options.kind === "container")
    return new ContainerBoard({ ...made, runtime: (await chooseRuntime("auto", deadline())).name });
  const { accelerator } = await chooseAccelerator(architectureOf(undefined), "auto", deadline());
  return new QemuBoard({ ...made, accelerator, user: nobody });
}

function identity(): BoardIdentity {
  const inside = addresses.map(({ family, address, gateway, prefix }) => [
    family,
    { address: `${address}/${prefix}`, gateway },
  ]);
  return { ...Object.fromEntries(inside), mac: names.mac("a", "service"), wire: "link" } as BoardIdentity;
}

async function bundle(path: string): Promise<SignedBundle> {
  const trust = { keyring: options.keyring, formats: ["verity"] as const, maxSignatureBytes };
  return await readSignedBundle(path, trust, deadline());
}

async function write(software: SignedBundle): Promise<SlotContent> {
  return await slot.install(software, () => undefined, deadline());
}

async function boot({ version, images, kernelArguments }: SlotContent): Promise<void> {
  // Nothing else is to be spared: it has all of the processor's time from its first instruction on.
  const start = { instance: randomUUID(), version, images, kernelArguments, priority: "service" } as const;
  await board.start(start, deadline());
  await board.ready(deadline());
}

/** The device passes packets on to the board's address, which it knows for good: no time is lost by looking for a neighbour. */
async function connect({ family, address, gateway }: ServiceAddress): Promise<void> {
  const prefix = family === "ipv4" ? 32 : 128;
  await addAddress(gateway, prefix, card);
  await pointTo(card, { address, prefix, mac: names.mac("a", "service"), from: gateway });
  await writeSetting(`net/${family}/conf/all/forwarding`, "1");
}

/** The bundle was brought and its signature verified while the old software served: that is not part of the downtime. */
async function upgrade(software: SignedBundle): Promise<SingleBoardTimes> {
  const stop = Date.now();
  await board.stop(deadline());
  const writing = Date.now();
  const content = await write(software);
  const booting = Date.now();
  await boot(content);
  return { stop, write: writing, boot: booting, ready: Date.now() };
}

function tell(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

try {
  await board.setUp(deadline());
  for (const address of addresses) await connect(address);
  await boot(await write(await bundle(options.first)));
  const next = await bundle(options.second);
  tell({ ready: true });
  for await (const _ of createInterface({ input: process.stdin })) tell(await upgrade(next));
} finally {
  await board.tearDown(deadline());
}
