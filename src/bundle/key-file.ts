/** GLib's key files: `[group]`, `key=value`, as RAUC's manifests are written. Source: GLib reference, "Key-value file parser". */
import { TwinboardError } from "../errors.ts";

/** Group → key → value, escapes resolved, in the order of the file. */
export type KeyFile = ReadonlyMap<string, ReadonlyMap<string, string>>;

const escapes: Readonly<Record<string, string>> = { s: " ", n: "\n", t: "\t", r: "\r", "\\": "\\" };
const groupLine = /^\[([^[\]\p{Cc}]+)\][ \t]*$/u;
/** `s`, because only a line feed ends a line here: to a regular expression without it U+2028 and others do as well. */
const keyLine = /^([A-Za-z0-9_-]+)[ \t]*=[ \t]*(.*)$/su;

const invalid = (line: number, detail: string): TwinboardError =>
  new TwinboardError("bundle-manifest-invalid", { detail: `line ${line}: ${detail}` });

/**
 * Reads a key file. Stricter than GLib in one thing: a group or a key that is there twice is an error, since two readers
 * could take different ones. Translated keys (`name[de]`) are not known to manifests and are errors.
 * Errors: `bundle-manifest-invalid` with the line.
 */
export function parseKeyFile(content: Uint8Array): KeyFile {
  const groups = new Map<string, Map<string, string>>();
  let group: Map<string, string> | undefined;
  for (const [index, raw] of decode(content).split("\n").entries()) {
    const line = raw.replace(/\r$/, "").replace(/^[ \t\f\v]+/, "");
    if (line === "" || line.startsWith("#")) continue;
    const name = groupLine.exec(line)?.[1];
    if (name !== undefined) {
      if (groups.has(name)) throw invalid(index + 1, `[${name}] is there twice`);
      group = new Map();
      groups.set(name, group);
      continue;
    }
    const [, key, value] = keyLine.exec(line) ?? [];
    if (key === undefined || value === undefined)
      throw invalid(index + 1, "neither a [group], key=value nor a comment");
    if (group === undefined) throw invalid(index + 1, `${key} stands before the first [group]`);
    if (group.has(key)) throw invalid(index + 1, `${key} is there twice`);
    group.set(key, unescape(value, index + 1));
  }
  return groups;
}

/** Writes a key file that `parseKeyFile` and GLib read back as the same groups, keys and values. */
export function formatKeyFile(groups: KeyFile): string {
  return [...groups]
    .map(([name, keys]) =>
      [`[${name}]`, ...[...keys].map(([key, value]) => `${key}=${escape(value)}`), ""].join("\n"),
    )
    .join("\n");
}

function decode(content: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch (cause) {
    throw new TwinboardError("bundle-manifest-invalid", { detail: "it is not UTF-8", cause });
  }
  if (text.includes("\0"))
    throw new TwinboardError("bundle-manifest-invalid", { detail: "it holds a zero byte" });
  return text;
}

function unescape(value: string, line: number): string {
  return value.replace(/\\(.?)/gsu, (sequence, letter: string) => {
    const meant = escapes[letter];
    if (meant === undefined) throw invalid(line, `${sequence} is no escape of key files`);
    return meant;
  });
}

/** White space at the beginning would be dropped by the reader, anything that ends a line would end the value. */
function escape(value: string): string {
  return value
    .replaceAll("\\", "\\\\")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r")
    .replaceAll("\t", "\\t")
    .replace(/^ +/, (spaces) => "\\s".repeat(spaces.length));
}
