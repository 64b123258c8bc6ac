/** A CAN bus against the contract of a leased service, with the kernel's own CAN where it has it: a virtual bus in a namespace. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { type BoardName, boardNames } from "../../src/board/board.ts";
import { CanService } from "../../src/service/can/can.ts";
import { canFindings } from "../../src/service/can/host.ts";
import { systemNames } from "../../src/system/names.ts";
import { run } from "../../src/system/process.ts";
import { leasedContract } from "../contract/leased.ts";
import type { LeasedSubject } from "../contract/leased-subject.ts";
import { makeNamespaces } from "../fixtures/namespaces.ts";

const bus = "can0";
const fromOutside = "100";
const fromBoard = "200";
const earProgram = join(import.meta.dirname, "../fixtures/can/ear.py");

const skip = await whyNoCan();
if (skip === false) leasedContract("CAN, in the kernel", make, { has: ["inward", "outward"] });
else test("a CAN bus in the kernel", { skip }, () => undefined);

async function whyNoCan(): Promise<string | false> {
  const [kernel] = await canFindings([{ name: "bus", bus }], AbortSignal.timeout(30_000));
  if (kernel?.severity !== "ok") return kernel?.what ?? "CAN was not looked at";
  const vcan = ["-n", "ip", "link", "add", bus, "type", "vcan"];
  return await run("unshare", vcan).then(
    () => false,
    (error: unknown) => `no virtual bus can be made: ${(error as Error).message}`,
  );
}

async function make(): Promise<LeasedSubject> {
  const namespaces = await makeNamespaces("can");
  const directory = await mkdtemp(join(tmpdir(), "twinboard-can-"));
  const path = process.env["PATH"];
  const [enter, args] = namespaces.device.enter("", []);
  // The driver's programs work in the namespace of the device.
  for (const program of ["ip", "cangw"]) {
    const { stdout } = await run("sh", ["-c", `command -v ${program}`]);
    const words = [enter, args[0], stdout.toString().trim()].join(" ");
    await writeFile(join(directory, program), `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  }
  process.env["PATH"] = `${directory}${delimiter}${path}`;
  await run("ip", ["link", "add", bus, "type", "vcan"]);
  await run("ip", ["link", "set", bus, "up"]);
  const names = systemNames("test", join(directory, "run"));
  const daemon = (): CanService => new CanService({ name: "bus", names, bus, fd: false });
  const inside = (command: string, ...words: string[]): [string, string[]] =>
    namespaces.device.enter(command, words);
  const end = (board: BoardName): string => names.canCard(board, "bus", "board");
  const ears = new Map<string, Ear>();
  const listen = async (): Promise<void> => {
    for (const card of [bus, ...boardNames.map(end)])
      if (!ears.has(card)) ears.set(card, await Ear.on(...inside("python3", earProgram, card)));
  };
  const send = async (card: string, id: string, line: string): Promise<void> => {
    await listen();
    await run(...inside("cansend", card, `${id}#${Buffer.from(line).toString("hex")}`));
  };
  return {
    service: daemon(),
    restart: () => Promise.resolve(daemon()),
    inward: {
      duringLease: "heard",
      say: (line) => send(bus, fromOutside, line),
      heard: (board) => Promise.resolve(ears.get(end(board))?.of(fromOutside) ?? []),
    },
    outward: {
      say: (board, line) => send(end(board), fromBoard, line),
      heard: () => Promise.resolve(ears.get(bus)?.of(fromBoard) ?? []),
    },
    async [Symbol.asyncDispose]() {
      process.env["PATH"] = path;
      for (const ear of ears.values()) ear.close();
      await namespaces.remove();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Hears what passes on a card. */
class Ear {
  readonly #child: ChildProcess;
  #heard = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async on(command: string, args: readonly string[]): Promise<Ear> {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    const ear = new Ear(child);
    child.stdout.on("data", (text: Buffer) => (ear.#heard += text.toString()));
    await once(child.stdout, "data", { signal: AbortSignal.timeout(10_000) });
    return ear;
  }

  /** The lines that were sent by an identifier. */
  of(id: string): string[] {
    return [...this.#heard.matchAll(new RegExp(`^${id} ([0-9a-f]+)$`, "gm"))].map(([, hex = ""]) =>
      Buffer.from(hex, "hex").toString(),
    );
  }

  close(): void {
    this.#child.kill("SIGKILL");
  }
}
