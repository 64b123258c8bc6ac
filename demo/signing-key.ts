/** A throw-away certificate authority and a signing certificate made by it: for the demo and for tests, never for devices. */
import { run } from "../src/system/process.ts";

const newCertificate = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"];

export interface SigningKey {
  /** PEM files: the authority's certificate (what goes into `trust.keyring`), the signer's certificate and its key. */
  readonly keyring: string;
  readonly cert: string;
  readonly key: string;
}

/** Makes both in `directory`, valid from now on for `days`. Repeatable: what was there is replaced. Source: openssl-req(1). */
export async function makeSigningKey(directory: string, days = 3650): Promise<SigningKey> {
  const authority = `${directory}/ca.pem`;
  const authorityKey = `${directory}/ca.key`;
  const cert = `${directory}/signer.pem`;
  const key = `${directory}/signer.key`;
  const request = (subject: string, extensions: readonly string[], issuedBy: readonly string[]): string[] => [
    ...newCertificate,
    "-days",
    String(days),
    "-subj",
    subject,
    ...extensions.flatMap((extension) => ["-addext", extension]),
    ...issuedBy,
  ];
  const authorityExtensions = ["keyUsage=critical,keyCertSign,cRLSign"];
  await run(
    "openssl",
    request("/O=Throw-away/CN=Authority", authorityExtensions, ["-keyout", authorityKey, "-out", authority]),
  );
  const signerExtensions = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"];
  const issuedBy = ["-CA", authority, "-CAkey", authorityKey, "-keyout", key, "-out", cert];
  await run("openssl", request("/O=Throw-away/CN=Signer", signerExtensions, issuedBy));
  return { keyring: authority, cert, key };
}
