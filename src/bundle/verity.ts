/**
 * The hash tree over a bundle's payload: dm-verity version 1, SHA-256, blocks of 4096 bytes, the salt before the data, the root's level first.
 * Source: Linux Documentation/admin-guide/device-mapper/verity.rst.
 */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { TwinboardError } from "../errors.ts";

export const blockBytes = 4096;
const digestBytes = 32;
const digestsPerBlock = blockBytes / digestBytes;

/** Blocks in each level of the tree over so many data blocks: the level above the data first, the root's last. */
export function treeLevels(dataBlocks: number): number[] {
  const levels: number[] = [];
  for (let blocks = dataBlocks; blocks > 1; ) {
    blocks = Math.ceil(blocks / digestsPerBlock);
    levels.push(blocks);
  }
  return levels;
}

export function treeBytes(dataBlocks: number): number {
  return treeLevels(dataBlocks).reduce((sum, blocks) => sum + blocks, 0) * blockBytes;
}

/** Collects the digests of data blocks, in order, and gives the tree. Holds 1/128 of the payload in memory. */
export class TreeBuilder {
  readonly #salt: Uint8Array;
  readonly #digests: Buffer[] = [];

  constructor(salt: Uint8Array) {
    this.#salt = salt;
  }

  /** Whole blocks, the next ones of the payload. */
  add(blocks: Uint8Array): void {
    this.#digests.push(digestsOf(blocks, this.#salt));
  }

  /** The tree as it follows the payload in the file, and its root. The payload has two blocks or more. */
  finish(): { readonly tree: Buffer; readonly root: Buffer } {
    const levels = [padded(Buffer.concat(this.#digests))];
    for (let top = levels[0]; top !== undefined && top.length > blockBytes; top = levels[0])
      levels.unshift(padded(digestsOf(top, this.#salt)));
    return { tree: Buffer.concat(levels), root: hashBlock(levels[0] ?? Buffer.alloc(0), this.#salt) };
  }
}

export interface VerityRoot {
  /** Hex. */
  readonly hash: string;
  readonly salt: string;
}

/**
 * Checks data blocks against a tree that is itself checked from the signed root down, block by block, as far as it is needed:
 * one block of each level is kept in memory.
 */
export class TreeChecker {
  readonly #salt: Buffer;
  readonly #root: Buffer;
  readonly #readTree: (position: number) => Promise<Buffer>;
  /** For each level, the data's neighbour first: where it begins in the tree, and the block of it that was checked last. */
  readonly #levels: { readonly firstBlock: number; index: number; block: Buffer }[];

  /** `readTree` gives the 4096 bytes at `position` of the tree. */
  constructor(dataBlocks: number, root: VerityRoot, readTree: (position: number) => Promise<Buffer>) {
    this.#salt = Buffer.from(root.salt, "hex");
    this.#root = Buffer.from(root.hash, "hex");
    this.#readTree = readTree;
    let firstBlock = 0;
    this.#levels = treeLevels(dataBlocks)
      .toReversed()
      .map((blocks) => {
        firstBlock += blocks;
        return { firstBlock: firstBlock - blocks, index: -1, block: Buffer.alloc(0) };
      })
      .toReversed();
  }

  /** Whole blocks from block number `first` on. Errors: `bundle-payload-corrupt` with the position in the file. */
  async check(first: number, blocks: Uint8Array): Promise<void> {
    for (let offset = 0; offset < blocks.length; offset += blockBytes) {
      const index = first + offset / blockBytes;
      const found = hashBlock(blocks.subarray(offset, offset + blockBytes), this.#salt);
      if (!found.equals(await this.#expected(0, index)))
        throw corrupt(`block ${index}, at byte ${index * blockBytes}`);
    }
  }

  /** The digest that the tree holds for block `index` of what lies below `level`. */
  async #expected(level: number, index: number): Promise<Buffer> {
    const kept = this.#levels[level];
    if (kept === undefined) return this.#root;
    const parent = Math.floor(index / digestsPerBlock);
    if (kept.index !== parent) {
      const position = (kept.firstBlock + parent) * blockBytes;
      const block = await this.#readTree(position);
      if (!hashBlock(block, this.#salt).equals(await this.#expected(level + 1, parent)))
        throw corrupt(`the hash tree, at byte ${position} of it`);
      kept.block = block;
      kept.index = parent;
    }
    const offset = (index % digestsPerBlock) * digestBytes;
    return kept.block.subarray(offset, offset + digestBytes);
  }
}

/** Reads exactly so many bytes of a file. Errors: `bundle-truncated`. */
export async function readExactly(file: FileHandle, into: Buffer, position: number): Promise<void> {
  for (let filled = 0; filled < into.length; ) {
    const { bytesRead } = await file.read(into, filled, into.length - filled, position + filled);
    if (bytesRead === 0)
      throw new TwinboardError("bundle-truncated", { detail: `it ends at byte ${position + filled}` });
    filled += bytesRead;
  }
}

const corrupt = (detail: string): TwinboardError => new TwinboardError("bundle-payload-corrupt", { detail });

function hashBlock(block: Uint8Array, salt: Uint8Array): Buffer {
  return createHash("sha256").update(salt).update(block).digest();
}

function digestsOf(blocks: Uint8Array, salt: Uint8Array): Buffer {
  const digests: Buffer[] = [];
  for (let offset = 0; offset < blocks.length; offset += blockBytes)
    digests.push(hashBlock(blocks.subarray(offset, offset + blockBytes), salt));
  return Buffer.concat(digests);
}

function padded(level: Buffer): Buffer {
  const missing = (blockBytes - (level.length % blockBytes)) % blockBytes;
  return missing === 0 ? level : Buffer.concat([level, Buffer.alloc(missing)]);
}
