/** `twinboard bundle create` and `twinboard bundle info` */
import { type Command, InvalidArgumentError } from "@commander-js/extra-typings";
import type { SignedBundle } from "../bundle/bundle.ts";
import { bytesText, tableLines } from "./format.ts";
import { printJson, verb } from "./verb.ts";

const maxSignatureBytes = 64 * 1024;

type Pairs = Readonly<Record<string, string>>;
type Meta = Readonly<Record<string, Pairs>>;

function addImage(value: string, images: Pairs = {}): Pairs {
  const [, label, path] = /^([a-z][a-z0-9-]*)=(.+)$/s.exec(value) ?? [];
  if (label === undefined || path === undefined)
    throw new InvalidArgumentError("expected CLASS=FILE, such as rootfs=rootfs.squashfs");
  if (label in images) throw new InvalidArgumentError(`the class ${label} is there already`);
  return { ...images, [label]: path };
}

function addMeta(value: string, meta: Meta = {}): Meta {
  const [, label, key, text] = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)=(.*)$/.exec(value) ?? [];
  if (label === undefined || key === undefined || text === undefined)
    throw new InvalidArgumentError("expected LABEL.KEY=VALUE, such as twinboard.kernel-arguments=quiet");
  return { ...meta, [label]: { ...meta[label], [key]: text } };
}

/** As a manifest has a list. */
function addKinds(value: string): string {
  return value
    .split(",")
    .map((kind) => `${kind.trim()};`)
    .join("");
}

function addFile(value: string, files: readonly string[] = []): readonly string[] {
  return [...files, value];
}

export function addBundle(program: Command): void {
  const bundle = program
    .command("bundle")
    .summary("make bundles, and tell what is in them")
    .description("Makes bundles in RAUC's verity format, and tells what is in them.");
  bundle
    .command("create")
    .summary("make and sign a bundle")
    .description("Makes a bundle in RAUC's verity format and signs it.")
    .argument("<output>", "file that is written, as one step")
    .requiredOption("--compatible <text>", "the systems that it is for")
    .requiredOption("--version <version>", "version of the software")
    .requiredOption(
      "--image <class=file>",
      "an image: kernel, initrd or rootfs, for one kind of boards alone rootfs-container; once each",
      addImage,
    )
    .requiredOption("--cert <file>", "signer's certificate, PEM")
    .requiredOption("--key <file>", "signer's private key, PEM")
    .option("--intermediate <file>", "a further certificate of the chain, PEM; repeatable", addFile)
    .option(
      "--kinds <list>",
      "what the boards may be that boot it: qemu, container, or both; left out: what a device's boards usually are",
      addKinds,
    )
    .option("--description <text>", "for people")
    .option("--build <text>", "build id")
    .option("--meta <label.key=value>", "a key of a [meta.LABEL] group; repeatable", addMeta)
    .option("--json", "print one JSON object: the signed manifest")
    .action(async (output, options) => {
      await verb(options.json === true, async () => {
        const { createBundle } = await import("../bundle/create.ts");
        const { compatible, version, description, build, kinds, image, cert, key } = options;
        const meta = kinds === undefined ? options.meta : addMeta(`twinboard.kinds=${kinds}`, options.meta);
        const manifest = await createBundle({
          output,
          cert,
          key,
          intermediates: options.intermediate ?? [],
          manifest: {
            compatible,
            version,
            ...(description === undefined ? {} : { description }),
            ...(build === undefined ? {} : { build }),
            meta: meta ?? {},
          },
          images: image,
          signal: new AbortController().signal,
        });
        if (options.json === true) printJson({ manifest });
        else process.stdout.write(`${output}: ${compatible} ${version}, signed\n`);
        return 0;
      });
    });
  bundle
    .command("info")
    .summary("verify a bundle's signature and tell what it says of itself")
    .description(
      "Verifies a bundle's signature and prints its manifest. The payload is read and checked only with --verify.",
    )
    .argument("<bundle>", "path of the bundle")
    .requiredOption("--keyring <file>", "certificate authorities that are trusted, PEM")
    .option("--verify", "read the whole payload and check every block")
    .option("--json", "print one JSON object")
    .action(async (path, options) => {
      await verb(options.json === true, async () => {
        const { readSignedBundle } = await import("../bundle/read.ts");
        const { signal } = new AbortController();
        const trust = { keyring: options.keyring, formats: ["verity"], maxSignatureBytes } as const;
        const signed = await readSignedBundle(path, trust, signal);
        const verified = options.verify === true;
        if (verified) {
          const { verifyPayload } = await import("../bundle/payload.ts");
          await verifyPayload(signed, () => undefined, signal);
        }
        if (options.json === true) printJson({ ...signed, payload: verified ? "verified" : "not read" });
        else process.stdout.write(`${infoLines(signed, verified).join("\n")}\n`);
        return 0;
      });
    });
}

function infoLines({ manifest, signer, sizeBytes, digest }: SignedBundle, verified: boolean): string[] {
  const { compatible, version, description, build, format, images, meta } = manifest;
  const rows: [string, string | undefined][] = [
    ["compatible", compatible],
    ["version", version],
    ["description", description],
    ["build", build],
    ["format", format],
    ["size", bytesText(sizeBytes)],
    ["digest", digest],
    ["signer", signer.subject],
    ["issuer", signer.issuer],
    ["valid until", signer.notAfter],
  ];
  for (const image of images)
    rows.push([`image ${image.class}`, `${bytesText(image.sizeBytes)}, SHA-256 ${image.sha256}`]);
  for (const [label, group] of Object.entries(meta))
    for (const [key, value] of Object.entries(group)) rows.push([`meta ${label}.${key}`, value]);
  const told = rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  return [
    ...tableLines(told),
    "",
    "The signature and the manifest hold.",
    verified
      ? "The payload holds: every block of it was checked."
      : "The payload was NOT read: it may still be damaged or changed. --verify reads it.",
  ];
}
