/** RAUC's manifest, `manifest.raucm`, to and from what the product knows of it. Source: RAUC docs/reference.rst, "Manifest". */
import { TwinboardError } from "../errors.ts";
import { type BundleFormat, bundleFormats, type Manifest, type ManifestImage } from "./bundle.ts";
import { formatKeyFile, type KeyFile, parseKeyFile } from "./key-file.ts";
import { blockBytes } from "./verity.ts";

type Group = ReadonlyMap<string, string>;

const maxTextCharacters = 4096;
const hex64 = /^[0-9a-f]{64}$/;
const namePattern = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Groups and keys that RAUC knows and Twinboard does not obey. The first are refused, because an installation without them is
 * not what the bundle's maker meant; the second only speed things up or describe, and may be passed over.
 */
const refused = new Set(["hooks", "handler"]);
const passedOver: Readonly<Record<string, readonly string[]>> = {
  update: ["min-rauc-version"],
  image: ["adaptive", "type", "version"],
};

const invalid = (detail: string): TwinboardError => new TwinboardError("bundle-manifest-invalid", { detail });

/**
 * Reads a signed manifest. Unknown groups and keys are errors, as they are to RAUC.
 * Errors: `bundle-manifest-invalid` with the line or the group and key, and what was expected.
 */
export function parseManifest(content: Uint8Array): Manifest {
  const file = parseKeyFile(content);
  const images: ManifestImage[] = [];
  const meta: [string, Record<string, string>][] = [];
  for (const [name, group] of file) {
    const [kind, label, ...more] = name.split(".");
    if (refused.has(name)) throw invalid(`[${name}] is not supported: Twinboard runs no code of a bundle`);
    if (kind === "image" && label !== undefined && more.length === 0)
      images.push(parseImage(name, label, group));
    else if (kind === "meta" && label !== undefined && more.length === 0)
      meta.push([label, parseMeta(name, group)]);
    else if (name !== "update" && name !== "bundle") throw invalid(`[${name}] is not known`);
  }
  if (images.length === 0) throw invalid("it names no [image.CLASS]");
  const update = knownKeys(file, "update", ["compatible", "version", "description", "build"]);
  const description = update.get("description");
  const build = update.get("build");
  return {
    compatible: required("update", update, "compatible"),
    version: required("update", update, "version"),
    ...(description === undefined ? {} : { description }),
    ...(build === undefined ? {} : { build }),
    images,
    ...parseBundleGroup(file),
    meta: Object.fromEntries(meta),
  };
}

/**
 * Writes the manifest as RAUC 1.8 and later read it. Without `verity` it is what lies inside the squashfs.
 * Errors: `bundle-manifest-invalid` for a class, label or key that cannot be written.
 */
export function formatManifest(manifest: Manifest): string {
  const { compatible, version, description, build, format, verity } = manifest;
  const groups = new Map([
    ["update", given({ compatible, version, description, build })],
    [
      "bundle",
      given({
        format,
        "verity-hash": verity?.hash,
        "verity-salt": verity?.salt,
        "verity-size": verity?.sizeBytes.toString(),
      }),
    ],
  ]);
  for (const { class: label, filename, sha256, sizeBytes } of manifest.images)
    groups.set(`image.${writable(label)}`, given({ sha256, size: sizeBytes.toString(), filename }));
  for (const [label, keys] of Object.entries(manifest.meta))
    groups.set(`meta.${writable(label)}`, given(keys));
  return formatKeyFile(groups);
}

function given(keys: Readonly<Record<string, string | undefined>>): Map<string, string> {
  const group = new Map<string, string>();
  for (const [key, value] of Object.entries(keys)) if (value !== undefined) group.set(writable(key), value);
  return group;
}

function writable(name: string): string {
  if (!namePattern.test(name)) throw invalid(`${JSON.stringify(name)} is not made of A-Z, a-z, 0-9, _ and -`);
  return name;
}

function parseBundleGroup(file: KeyFile): Pick<Manifest, "format" | "verity"> {
  const group = knownKeys(file, "bundle", [
    "format",
    "verity-hash",
    "verity-salt",
    "verity-size",
    "crypt-key",
  ]);
  const said = group.get("format") ?? "plain";
  const format = bundleFormats.find((known): known is BundleFormat => known === said);
  if (format === undefined)
    throw invalid(`[bundle] format is ${said}, not one of ${bundleFormats.join(", ")}`);
  if (format === "plain") return { format };
  const sizeBytes = bytes("bundle", group, "verity-size");
  if (sizeBytes === 0 || sizeBytes % blockBytes !== 0)
    throw invalid(`[bundle] verity-size is ${sizeBytes}, not a multiple of ${blockBytes}`);
  const [hash, salt] = [digest("bundle", group, "verity-hash"), digest("bundle", group, "verity-salt")];
  return { format, verity: { hash, salt, sizeBytes } };
}

function parseImage(name: string, label: string, group: Group): ManifestImage {
  if (!namePattern.test(label)) throw invalid(`[${name}]: the class is not made of A-Z, a-z, 0-9, _ and -`);
  if (group.has("hooks")) throw invalid(`[${name}] hooks: Twinboard runs no code of a bundle`);
  refuseUnknown(name, group, ["filename", "sha256", "size", ...(passedOver["image"] ?? [])]);
  const filename = required(name, group, "filename");
  if (filename.includes("/") || filename === "." || filename === ".." || Buffer.byteLength(filename) > 255)
    throw invalid(`[${name}] filename ${JSON.stringify(filename)} is not the plain name of a file`);
  return {
    class: label,
    filename,
    sha256: digest(name, group, "sha256"),
    sizeBytes: bytes(name, group, "size"),
  };
}

function parseMeta(name: string, group: Group): Record<string, string> {
  if (!namePattern.test(name.slice("meta.".length)))
    throw invalid(`[${name}]: the label is not made of A-Z, a-z, 0-9, _ and -`);
  return Object.fromEntries(group);
}

function knownKeys(file: KeyFile, name: string, keys: readonly string[]): Group {
  const group = file.get(name) ?? new Map<string, string>();
  refuseUnknown(name, group, [...keys, ...(passedOver[name] ?? [])]);
  return group;
}

function refuseUnknown(name: string, group: Group, keys: readonly string[]): void {
  for (const key of group.keys()) if (!keys.includes(key)) throw invalid(`[${name}] ${key} is not known`);
}

function required(name: string, group: Group, key: string): string {
  const value = group.get(key);
  if (value === undefined || value === "") throw invalid(`[${name}] ${key} is missing`);
  if (/\p{Cc}/u.test(value)) throw invalid(`[${name}] ${key} holds control characters`);
  if (value.length > maxTextCharacters) throw invalid(`[${name}] ${key} is longer than ${maxTextCharacters}`);
  return value;
}

function digest(name: string, group: Group, key: string): string {
  const value = required(name, group, key).toLowerCase();
  if (!hex64.test(value)) throw invalid(`[${name}] ${key} is not 64 hexadecimal digits`);
  return value;
}

function bytes(name: string, group: Group, key: string): number {
  const value = required(name, group, key);
  const number = Number(value);
  if (!/^[0-9]+$/.test(value) || !Number.isSafeInteger(number))
    throw invalid(`[${name}] ${key} is ${value}, not a number of bytes`);
  return number;
}
