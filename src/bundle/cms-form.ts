/** Fields of a CMS that no signature covers and openssl does not look at: they must be what RFC 5652 says, so that no bit of a bundle can be changed unseen. */
import { TwinboardError } from "../errors.ts";

const idData = "1.2.840.113549.1.7.1";
const contentTypeAttribute = "1.2.840.113549.1.9.3";

/** Signature algorithm → the digest algorithm that it names, or `null` where it names none (RFC 5754, RFC 4056, RFC 8419). */
const digestNamedBy: Readonly<Record<string, string | null>> = {
  "1.2.840.113549.1.1.1": null, // rsaEncryption
  "1.2.840.113549.1.1.10": null, // RSASSA-PSS
  "1.2.840.113549.1.1.11": "2.16.840.1.101.3.4.2.1", // sha256WithRSAEncryption
  "1.2.840.113549.1.1.12": "2.16.840.1.101.3.4.2.2", // sha384WithRSAEncryption
  "1.2.840.113549.1.1.13": "2.16.840.1.101.3.4.2.3", // sha512WithRSAEncryption
  "1.2.840.10045.4.3.2": "2.16.840.1.101.3.4.2.1", // ecdsa-with-SHA256
  "1.2.840.10045.4.3.3": "2.16.840.1.101.3.4.2.2", // ecdsa-with-SHA384
  "1.2.840.10045.4.3.4": "2.16.840.1.101.3.4.2.3", // ecdsa-with-SHA512
  "1.3.101.112": "2.16.840.1.101.3.4.2.3", // Ed25519
};

/**
 * Checks the versions, the signer's name, the content type and the signature algorithm of a CMS whose signature holds and that has one signer.
 * Errors: `bundle-signature-invalid`.
 */
export async function checkCmsForm(cms: Uint8Array): Promise<void> {
  // 13 MiB that a daemon without a bundle does not need.
  const { Certificate, ContentInfo, IssuerAndSerialNumber, SignedData } = await import("pkijs");
  const signed = new SignedData({ schema: ContentInfo.fromBER(Uint8Array.from(cms).buffer).content });
  const [signer, ...others] = signed.signerInfos;
  if (signer === undefined || others.length > 0) throw invalid(`${signed.signerInfos.length} signers`);
  const contentType = signed.encapContentInfo.eContentType;
  const signedType = signer.signedAttrs?.attributes.find(({ type }) => type === contentTypeAttribute)
    ?.values[0] as { valueBlock: { toString(): string } } | undefined;
  // RFC 5652, 5.3: the signer's version follows from how the certificate is named; 5.1: the message's from the signers'.
  const version = signer.sid instanceof IssuerAndSerialNumber ? 1 : 3;
  if (signer.version !== version) throw invalid(`the signer's version is ${signer.version}, not ${version}`);
  if (signed.version !== version) throw invalid(`the version is ${signed.version}, not ${version}`);
  // 5.3 and 11.1: what is signed says its type a second time, under the signature.
  if (contentType !== idData || signedType?.valueBlock.toString() !== idData)
    throw invalid(`the content type is ${contentType}, not ${idData}`);
  // openssl finds the certificate by names that it compares without regard to case.
  if (signer.sid instanceof IssuerAndSerialNumber) {
    const { issuer, serialNumber } = signer.sid;
    const certificates = signed.certificates?.filter((each) => each instanceof Certificate) ?? [];
    const certificate = certificates.find((each) => each.serialNumber.isEqual(serialNumber));
    const named = Buffer.from(issuer.valueBeforeDecode);
    if (certificate !== undefined && !named.equals(Buffer.from(certificate.issuer.valueBeforeDecode)))
      throw invalid("the signer's issuer is not written as in its certificate");
  }
  const algorithm = signer.signatureAlgorithm.algorithmId;
  const named = digestNamedBy[algorithm];
  if (named === undefined || (named !== null && named !== signer.digestAlgorithm.algorithmId))
    throw invalid(`signature algorithm ${algorithm} with digest ${signer.digestAlgorithm.algorithmId}`);
}

const invalid = (detail: string): TwinboardError =>
  new TwinboardError("bundle-signature-invalid", { detail });
