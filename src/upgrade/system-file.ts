/**
 * `system.json`: which board is primary, what the slots hold, the version floor, and the versions that failed.
 * Replacing it, as one step, *is* the commit of an upgrade.
 */
import { z } from "zod";
import { type BoardName, boardNames } from "../board/board.ts";
import { dormancyDepths } from "../board/depth.ts";
import { boardKinds } from "../board/kind.ts";
import { TwinboardError } from "../errors.ts";
import { readFileIfThere, writeFileAtomically } from "../system/files.ts";

const slotSchema = z.strictObject({
  mark: z.enum(["good", "bad", "unknown"]),
  content: z
    .strictObject({
      version: z.string(),
      digest: z.string(),
      kind: z.enum(boardKinds).optional(),
      images: z.record(z.string(), z.string()),
      sha256: z.record(z.string(), z.string()),
      kernelArguments: z.string(),
    })
    .nullable(),
});

const schema = z.strictObject({
  v: z.literal(1),
  /** The board that boots and serves after a reboot of the host; `null` before the first installation. */
  primary: z.enum(boardNames).nullable(),
  slots: z.strictObject({ a: slotSchema.nullable(), b: slotSchema.nullable() }),
  /** The highest version ever committed. */
  floor: z.string().nullable(),
  /** Versions that failed here, newest last. */
  failedVersions: z.array(z.string()),
  /** How often in a row each board was booted to serve again, and did not come to it. */
  triesUsed: z.strictObject({ a: z.int(), b: z.int() }).default({ a: 0, b: 0 }),
  /** The board that was laid to sleep last, when (ms since 1970), how deep, and what processor time it had used by then. */
  dormant: z
    .strictObject({
      board: z.enum(boardNames),
      instance: z.string(),
      since: z.number(),
      cpuNs: z.number(),
      depth: z.enum(dormancyDepths).optional(),
    })
    .nullable(),
});

export type SystemState = z.infer<typeof schema>;
export type SlotState = z.infer<typeof slotSchema>;

/** A board that was booted so often after reboots of the host without coming to serve waits behind the other one. */
export const maxTries = 3;
const maxFailedVersions = 100;

export const freshSystem: SystemState = {
  v: 1,
  primary: null,
  slots: { a: null, b: null },
  floor: null,
  failedVersions: [],
  triesUsed: { a: 0, b: 0 },
  dormant: null,
};

export function withSlot(state: SystemState, board: BoardName, slot: SlotState): SystemState {
  return { ...state, slots: { ...state.slots, [board]: slot } };
}

export function withTriesUsed(state: SystemState, board: BoardName, tries: number): SystemState {
  return { ...state, triesUsed: { ...state.triesUsed, [board]: tries } };
}

export function withFailedVersion(state: SystemState, version: string): SystemState {
  const others = state.failedVersions.filter((failed) => failed !== version);
  return { ...state, failedVersions: [...others, version].slice(-maxFailedVersions) };
}

export interface SystemFile {
  readonly state: SystemState;
  /** Replaces the state, on the disk before it resolves. */
  update(change: (state: SystemState) => SystemState): Promise<void>;
}

/** Opens the file, or begins with a fresh system. Errors: `system-file-damaged`. */
export async function openSystemFile(path: string): Promise<SystemFile> {
  const text = await readFileIfThere(path);
  let state = freshSystem;
  if (text !== undefined) {
    try {
      state = schema.parse(JSON.parse(text));
    } catch (error) {
      throw new TwinboardError("system-file-damaged", { detail: path, cause: error });
    }
  }
  return {
    get state() {
      return state;
    },
    async update(change) {
      const next = change(state);
      await writeFileAtomically(path, `${JSON.stringify(next, null, 2)}\n`);
      state = next;
    },
  };
}
