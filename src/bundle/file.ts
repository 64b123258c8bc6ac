/** Opening a bundle's file, and what is read of it before anything in it is believed. Layout: payload, CMS, size of the CMS. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { TwinboardError } from "../errors.ts";
import { blockBytes, readExactly } from "./verity.ts";

/**
 * Opens a regular file for reading; the caller closes it. Opening never waits, whatever the path names.
 * Errors: `bundle-unreadable`.
 */
export async function openBundle(
  path: string,
): Promise<{ readonly file: FileHandle; readonly sizeBytes: number }> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (cause) {
    throw new TwinboardError("bundle-unreadable", { detail: (cause as Error).message, cause });
  }
  try {
    const status = await file.stat();
    if (!status.isFile())
      throw new TwinboardError("bundle-unreadable", { detail: `${path} is not a regular file` });
    return { file, sizeBytes: status.size };
  } catch (error) {
    await file.close();
    throw error;
  }
}

export interface BundleEnd {
  /** Bytes of what lies before the CMS: the payload and, if there is one, its hash tree. */
  readonly bodyBytes: number;
  /** The CMS, DER. */
  readonly cms: Buffer;
}

const sizeFieldBytes = 8;
const squashfsMagic = "hsqs";

/**
 * Reads the CMS from the end of the file (docs/bundles.md, steps 1 and 2). Nothing of it is verified yet.
 * Errors: `bundle-not-a-bundle`, `bundle-truncated`, `bundle-signature-invalid` (longer than `maxSignatureBytes`, or no DER).
 */
export async function readBundleEnd(
  file: FileHandle,
  sizeBytes: number,
  maxSignatureBytes: number,
): Promise<BundleEnd> {
  const magic = Buffer.alloc(Math.min(squashfsMagic.length, sizeBytes));
  await readExactly(file, magic, 0);
  // A squashfs at the beginning tells a bundle whose end is lost from a file that never was one.
  const noEnd = (detail: string): TwinboardError =>
    magic.toString("latin1") === squashfsMagic
      ? new TwinboardError("bundle-truncated", { detail })
      : new TwinboardError("bundle-not-a-bundle", { detail });
  if (sizeBytes < sizeFieldBytes) throw noEnd(`it has ${sizeBytes} bytes`);
  const field = Buffer.alloc(sizeFieldBytes);
  await readExactly(file, field, sizeBytes - sizeFieldBytes);
  const cmsBytes = field.readBigUInt64BE();
  if (cmsBytes === 0n) throw noEnd("its end says that the signature has no bytes");
  if (cmsBytes > BigInt(sizeBytes - sizeFieldBytes))
    throw noEnd(`its end says that the signature has ${cmsBytes} bytes, the file has ${sizeBytes}`);
  const bodyBytes = sizeBytes - sizeFieldBytes - Number(cmsBytes);
  if (bodyBytes % blockBytes !== 0)
    throw noEnd(`${bodyBytes} bytes before the signature are not whole blocks`);
  if (cmsBytes > maxSignatureBytes) {
    throw new TwinboardError("bundle-signature-invalid", {
      detail: `it has ${cmsBytes} bytes, ${maxSignatureBytes} are allowed`,
    });
  }
  const cms = Buffer.alloc(Number(cmsBytes));
  await readExactly(file, cms, bodyBytes);
  return { bodyBytes, cms };
}
