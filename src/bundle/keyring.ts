/** What the keyring is worth at a time: without a certificate that is valid then, every bundle is refused. */
import { X509Certificate } from "node:crypto";
import { open } from "node:fs/promises";
import { doubtful, type Finding, fine, unseen } from "../system/finding.ts";

const where = "trust.keyring";
const maxKeyringBytes = 1024 * 1024;
const dayMs = 86_400_000;
/** Time enough to bring a new certificate to every device. */
const soonMs = 30 * dayMs;

/** `nowMs`: milliseconds since 1970. */
export async function keyringFinding(path: string, nowMs: number): Promise<Finding> {
  let text: string;
  try {
    text = await readBounded(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EACCES") return unseen(where, `${path} may not be read by this user`, "run this as root");
    return doubtful(
      where,
      `no bundle can be accepted: ${message}`,
      `put the PEM file of the authorities at ${path}`,
    );
  }
  return judge(path, text, nowMs);
}

async function readBounded(path: string): Promise<string> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(maxKeyringBytes), 0, maxKeyringBytes, 0);
  return buffer.toString("utf8", 0, bytesRead);
}

/** Pure. */
export function judge(path: string, text: string, nowMs: number): Finding {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  const certificates = blocks.map(read);
  const damaged = certificates.filter((certificate) => certificate === undefined).length;
  const sound = certificates.filter((certificate) => certificate !== undefined);
  const now = sound.filter(
    ({ validFromDate, validToDate }) => +validFromDate <= nowMs && nowMs < +validToDate,
  );
  const renew = "add the authority's current certificate to it, and check the host's clock";
  if (now.length === 0) {
    const which =
      sound.length === 0
        ? "holds no certificate"
        : `holds none that is valid now: ${sound.map(told).join("; ")}`;
    return doubtful(where, `no bundle can be accepted: ${path} ${which}`, renew);
  }
  if (damaged > 0)
    return doubtful(where, `${path} holds ${damaged} that cannot be read`, "write the file again");
  const next = now.toSorted((one, other) => +one.validToDate - +other.validToDate)[0];
  const soon = now.filter(({ validToDate }) => +validToDate - nowMs < soonMs);
  if (soon.length > 0) return doubtful(where, `soon no longer valid: ${soon.map(told).join("; ")}`, renew);
  const count = now.length === 1 ? "1 certificate is" : `${now.length} certificates are`;
  return fine(where, `${count} valid, up to ${next === undefined ? "" : day(next.validToDate)} at least`);
}

function read(block: string): X509Certificate | undefined {
  try {
    return new X509Certificate(block);
  } catch {
    return undefined;
  }
}

function told({ subject, validFromDate, validToDate }: X509Certificate): string {
  return `${subject.replaceAll("\n", ", ").slice(0, 100)} (${day(validFromDate)} to ${day(validToDate)})`;
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
