/** Signing and verifying by the Cryptographic Message Syntax (RFC 5652), done by openssl-cms(1). */
import { randomUUID, X509Certificate } from "node:crypto";
import { access, constants, type FileHandle, open, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TwinboardError } from "../errors.ts";
import { run } from "../system/process.ts";
import type { Signer } from "./bundle.ts";
import { checkCmsForm } from "./cms-form.ts";

export interface VerifiedContent {
  readonly content: Buffer;
  readonly signer: Signer;
}

export interface CmsTrust {
  /** PEM file of the certificates that are believed. */
  readonly keyring: string;
  /** Believe a certificate of the keyring that is not self-signed. Default false. */
  readonly partialChain?: boolean;
}

/**
 * Verifies the chain of the one signer against the keyring and nothing else (no directory of the host), its purpose (S/MIME
 * signing) and time, then the signature (docs/bundles.md, steps 3 to 5), and returns what was signed.
 * Errors: `bundle-signature-invalid`, `bundle-signer-untrusted`, `bundle-certificate-expired`, `bundle-format-refused` (signature
 * detached or encrypted); the signal's reason.
 */
export async function verifyCms(cms: Buffer, trust: CmsTrust, signal: AbortSignal): Promise<VerifiedContent> {
  await checkKeyring(trust.keyring);
  await using signerFile = await namelessFile();
  const args = [
    "cms",
    "-verify",
    "-binary",
    "-inform",
    "DER",
    "-purpose",
    "smimesign",
    "-signer",
    `/proc/${process.pid}/fd/${signerFile.fd}`,
  ];
  const anchors = ["-CAfile", trust.keyring, "-no-CApath", "-no-CAstore"];
  const partial = trust.partialChain === true ? ["-partial_chain"] : [];
  const { stdout, stderr, exitCode } = await run("openssl", [...args, ...anchors, ...partial], {
    input: cms,
    signal,
    allowedExitCodes: [1, 2, 3, 4, 5],
  });
  if (exitCode !== 0) throw refusal(stderr);
  await checkCmsForm(cms);
  return { content: stdout, signer: readSigner(await signerFile.readFile("utf8")) };
}

/** For what openssl gives as a file alone: it has lost its name already, so that nothing is left whenever this process is killed. */
async function namelessFile(): Promise<FileHandle> {
  const path = join(tmpdir(), `twinboard-cms-${randomUUID()}`);
  const file = await open(path, "wx+", 0o600);
  await unlink(path);
  return file;
}

export interface SigningFiles {
  /** PEM files. */
  readonly cert: string;
  readonly key: string;
  /** One PEM file of further certificates. */
  readonly intermediates?: string;
}

/**
 * Signs `content` into a CMS (DER) that contains it, the signer's certificate and the intermediates.
 * Errors: `bundle-not-made` with what openssl says; the signal's reason.
 */
export async function signCms(content: string, files: SigningFiles, signal: AbortSignal): Promise<Buffer> {
  const form = ["cms", "-sign", "-binary", "-nosmimecap", "-nodetach", "-outform", "DER"];
  const signer = ["-signer", files.cert, "-inkey", files.key];
  const chain = files.intermediates === undefined ? [] : ["-certfile", files.intermediates];
  const { stdout, stderr, exitCode } = await run("openssl", [...form, ...signer, ...chain], {
    input: content,
    signal,
    allowedExitCodes: [1, 2, 3, 4, 5],
  });
  if (exitCode !== 0)
    throw new TwinboardError("bundle-not-made", { detail: `openssl: ${firstLines(stderr)}` });
  return stdout;
}

async function checkKeyring(keyring: string): Promise<void> {
  try {
    await access(keyring, constants.R_OK);
  } catch (cause) {
    throw new TwinboardError("bundle-signer-untrusted", {
      detail: `the keyring cannot be read: ${(cause as Error).message}`,
      cause,
    });
  }
}

/**
 * openssl has one exit code for every reason, so its message must be read: the sentences of X509_verify_cert_error_string(3)
 * and the reasons of its CMS library. What is not recognised is an invalid signature.
 */
function refusal(stderr: string): TwinboardError {
  const chain = /Verify error: ?(.*)/.exec(stderr)?.[1];
  if (chain === "certificate has expired" || chain === "certificate is not yet valid")
    return new TwinboardError("bundle-certificate-expired", { detail: chain });
  if (chain !== undefined) return new TwinboardError("bundle-signer-untrusted", { detail: chain });
  if (stderr.includes(":no content:"))
    return new TwinboardError("bundle-format-refused", { detail: "plain (its signature is detached)" });
  if (stderr.includes("content type not signed data"))
    return new TwinboardError("bundle-format-refused", { detail: "crypt (its signature is encrypted)" });
  return new TwinboardError("bundle-signature-invalid", { detail: `openssl: ${firstLines(stderr)}` });
}

function firstLines(stderr: string): string {
  return stderr.trim().split("\n").slice(0, 2).join("; ").slice(0, 400);
}

function readSigner(pem: string): Signer {
  if (pem.split("-----BEGIN CERTIFICATE-----").length !== 2)
    throw new TwinboardError("bundle-signature-invalid", { detail: "it has more than one signer" });
  const certificate = new X509Certificate(pem);
  return {
    subject: distinguishedName(certificate.subject),
    issuer: distinguishedName(certificate.issuer),
    notAfter: new Date(certificate.validTo).toISOString(),
  };
}

/** Node gives one escaped RDN a line, the most general first; RFC 4514 wants the most specific first, with commas. */
function distinguishedName(lines: string): string {
  return lines.split("\n").toReversed().join(",");
}
