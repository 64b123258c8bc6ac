/** A serial line, which is a pseudo terminal here, and a stream against the contract of a leased service. */
import type { BoardName } from "../../src/board/board.ts";
import type { LineSpec } from "../../src/service/line/spec.ts";
import { StandInBoard } from "../fixtures/line/board.ts";
import { LineLab, serial } from "../fixtures/line/lab.ts";
import type { Pty } from "../fixtures/line/pty.ts";
import { leasedContract } from "./leased.ts";
import type { LeasedSubject } from "./leased-subject.ts";

/** The outside of a line: what the broker is told of it, and both ways of the test into it. */
interface Outside {
  readonly spec: LineSpec["outside"];
  readonly send: (bytes: Buffer) => Promise<void>;
  readonly takeAway: () => Promise<void>;
  readonly bringBack: () => Promise<void>;
}

const has = ["inward", "outward", "thing"] as const;

leasedContract(
  "serial line",
  async () =>
    await make(async (lab, onBytes) => {
      let pty: Pty;
      const bringBack = async (): Promise<void> => {
        pty = await lab.plug();
        pty.output.on("data", onBytes);
      };
      await bringBack();
      return {
        spec: { ...serial, device: lab.device },
        send: async (bytes) => {
          await new Promise((resolve) => pty.input.write(bytes, resolve));
        },
        takeAway: async () => await pty.pull(),
        bringBack,
      };
    }),
  { has },
);

leasedContract(
  "stream",
  async () =>
    await make(async (lab, onBytes) => {
      const peer = new StandInBoard(lab.device);
      peer.onBytes = onBytes;
      await peer.boot();
      return {
        spec: { kind: "connect", endpoint: { path: lab.device } },
        send: async (bytes) => {
          while (!peer.connected) await new Promise((resolve) => setTimeout(resolve, 10));
          await peer.send(bytes);
        },
        takeAway: async () => await peer.die(),
        bringBack: async () => await peer.boot(),
      };
    }),
  { has },
);

async function make(
  outsideOf: (lab: LineLab, onBytes: (bytes: Buffer) => void) => Promise<Outside>,
): Promise<LeasedSubject> {
  const lab = await LineLab.make();
  const heard: Record<BoardName | "outside", string> = { a: "", b: "", outside: "" };
  const outside = await outsideOf(lab, (bytes) => (heard.outside += bytes.toString()));
  for (const board of ["a", "b"] as const)
    lab.boards[board].onBytes = (bytes) => (heard[board] += bytes.toString());
  const lines = (who: keyof typeof heard): string[] => heard[who].split("\n").slice(0, -1);
  const daemon = (): LeasedSubject["service"] => lab.service({ outside: outside.spec });
  return {
    service: daemon(),
    restart: () => Promise.resolve(daemon()),
    inward: {
      duringLease: "waits",
      say: async (line) => await outside.send(Buffer.from(`${line}\n`)),
      heard: (board) => Promise.resolve(lines(board)),
    },
    outward: {
      say: async (board, line) => await lab.boards[board].send(Buffer.from(`${line}\n`)),
      heard: () => Promise.resolve(lines("outside")),
    },
    thing: outside,
    async [Symbol.asyncDispose]() {
      await lab[Symbol.asyncDispose]();
      await outside.takeAway();
    },
  };
}
