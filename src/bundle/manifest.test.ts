import assert from "node:assert/strict";
import { test } from "node:test";
import {
  array,
  assert as check,
  constantFrom,
  dictionary,
  integer,
  property,
  record,
  string,
  stringMatching,
  uint8Array,
} from "fast-check";
import { TwinboardError } from "../errors.ts";
import type { Manifest } from "./bundle.ts";
import { formatManifest, parseManifest } from "./manifest.ts";

const hash = "0123456789abcdef".repeat(4);
const text = `[update]
compatible=acme-gateway
version=2.0.1-rc1
min-rauc-version=1.8

# a comment
[bundle]
format=verity
verity-hash=${hash}
verity-salt=${hash.toUpperCase()}
verity-size=8192

[image.rootfs]
filename=rootfs image.squashfs
sha256=${hash}
size=1048576
adaptive=block-hash-index;

[meta.twinboard]
kernel-arguments=\\sconsole=ttyS0 a\\\\b
`;

const parse = (content: string): Manifest => parseManifest(Buffer.from(content));

function refuses(content: string, detail: RegExp): void {
  assert.throws(
    () => parse(content),
    (error) => {
      assert.ok(error instanceof TwinboardError);
      assert.equal(error.code, "bundle-manifest-invalid");
      assert.match(error.message, detail);
      return true;
    },
  );
}

test("a manifest is read, escapes resolved", () => {
  assert.deepEqual(parse(text), {
    compatible: "acme-gateway",
    version: "2.0.1-rc1",
    images: [{ class: "rootfs", filename: "rootfs image.squashfs", sha256: hash, sizeBytes: 1_048_576 }],
    format: "verity",
    verity: { hash, salt: hash, sizeBytes: 8192 },
    meta: { twinboard: { "kernel-arguments": " console=ttyS0 a\\b" } },
  });
});

test("lines may end in CR LF, be indented, and have space around the sign", () => {
  const loose = text.replaceAll("\n", "\r\n").replace("version=", "  version = \t");
  assert.deepEqual(parse(loose), parse(text));
});

test("what is not known, missing or of the wrong form is refused by name", () => {
  refuses(text.replace("version=", "vresion="), /\[update\] vresion is not known/);
  refuses(`${text}[extra]\na=b\n`, /\[extra\] is not known/);
  refuses(text.replace("compatible=acme-gateway\n", ""), /\[update\] compatible is missing/);
  refuses(text.replace("version=2.0.1-rc1", "version="), /\[update\] version is missing/);
  refuses(text.replace("format=verity", "format=tarity"), /tarity/);
  refuses(text.replace("verity-size=8192", "verity-size=8191"), /8191/);
  refuses(text.replace("size=1048576", "size=-1"), /-1/);
  refuses(text.replace("size=1048576", "size=99999999999999999999"), /99999999999999999999/);
  refuses(text.replace(`sha256=${hash}`, "sha256=ab"), /64 hexadecimal/);
  refuses(text.replace("rootfs image.squashfs", "../rootfs"), /plain name/);
  refuses(text.replace("[image.rootfs]", "[image.rootfs.variant]"), /variant.* is not known/);
  refuses(text.replace("adaptive=block-hash-index;", "hooks=install;"), /runs no code/);
  refuses(`${text}[handler]\nfilename=x\n`, /runs no code/);
  refuses(text.slice(0, text.indexOf("[image")), /no \[image/);
});

test("what is no key file is refused with its line", () => {
  refuses(`a=b\n${text}`, /line 1: a stands before/);
  refuses(text.replace("version=", "compatible="), /line 3: compatible is there twice/);
  refuses(`${text}[bundle]\n`, /\[bundle\] is there twice/);
  refuses(text.replace("# a comment", "a comment"), /line 6: neither/);
  refuses(text.replace("a\\\\b", "a\\b"), /\\b is no escape/);
  refuses(text.replace("acme", "ac\0me"), /zero byte/);
  assert.throws(() => parseManifest(Buffer.from([0x5b, 0xff, 0x5d])), /UTF-8/);
});

const name = stringMatching(/^[A-Za-z0-9_-]{1,12}$/);
const line = string({ unit: "grapheme", minLength: 1, maxLength: 20 }).filter((s) => !/\p{Cc}/u.test(s));
const hex = stringMatching(/^[0-9a-f]{64}$/);
const anyManifest = record({
  compatible: line,
  version: line,
  description: string({ unit: "binary", maxLength: 20 }).map((s) => s.replaceAll("\0", "").toWellFormed()),
  images: array(
    record({
      class: name,
      filename: line.filter((s) => !s.includes("/") && s !== "." && s !== ".."),
      sha256: hex,
      sizeBytes: integer({ min: 0 }),
    }),
    { minLength: 1, maxLength: 4 },
  ).filter((images) => new Set(images.map((image) => image.class)).size === images.length),
  format: constantFrom("verity" as const),
  verity: record({ hash: hex, salt: hex, sizeBytes: integer({ min: 1, max: 1 << 20 }).map((n) => n * 4096) }),
  meta: dictionary(
    name,
    dictionary(
      name,
      string({ unit: "binary", maxLength: 20 }).map((s) => s.replaceAll("\0", "").toWellFormed()),
    ),
    { noNullPrototype: true },
  ),
});

test("whatever is written is read back as the same", () => {
  check(
    property(anyManifest, (manifest) => {
      const read = parse(formatManifest(manifest));
      assert.equal(JSON.stringify(sorted(read)), JSON.stringify(sorted(manifest)));
    }),
  );
});

/** JavaScript puts keys that look like numbers first, so the order of keys is not compared. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => [key, sorted(inner)]);
}

function survives(content: Uint8Array): void {
  try {
    parseManifest(content);
  } catch (error) {
    assert.ok(error instanceof TwinboardError && error.code === "bundle-manifest-invalid", String(error));
  }
}

test("any bytes give a manifest or the one error", () => {
  const pieces = array(constantFrom(...text.split(/(?<=[\n=\]])/), "\\", "[", "\0", "é", "=")).map((all) =>
    all.join(""),
  );
  check(property(uint8Array({ maxLength: 200 }), survives));
  check(property(pieces, (content) => survives(Buffer.from(content))));
});

test("a value may hold what ends a line elsewhere, but not in key files", () => {
  for (const odd of ["\u2028", "a\u2029b", "\u0085", "\v", "x\r"]) {
    const manifest = parse(text.replace(/\[meta\.[^]*/, ""));
    const written = formatManifest({ ...manifest, meta: { label: { key: odd } } });
    assert.equal(parse(written).meta["label"]?.["key"], odd, JSON.stringify(odd));
  }
});
