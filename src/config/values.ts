/** The kinds of values that the configuration file is made of. */
import { z } from "zod";
import { suggestion } from "./suggestion.ts";
import { parseDurationMs, parseSizeBytes } from "./units.ts";

export const notYet = "not supported by this version";

/** A mapping that takes these keys only. Its message for unknown keys has one line a key, in the order of `issue.keys`. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  const allowed = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => unknownKey(key, allowed)).join("\n")
        : undefined,
  });
}

function unknownKey(key: string, allowed: readonly string[]): string {
  const meant = suggestion(key, allowed);
  return `unknown key${meant === undefined ? "" : `, did you mean ${meant}?`} (allowed here: ${allowed.join(", ")})`;
}

/** A key or value that a later version will accept. */
export function later(what: string) {
  return z.unknown().superRefine((value, context) => {
    if (value !== undefined) context.addIssue({ code: "custom", message: `${what} is ${notYet}` });
  });
}

/** One of `now`; each of `planned` is refused by name. */
export function choice<const Now extends readonly string[]>(now: Now, planned: readonly string[]) {
  return z.enum(now, {
    error: ({ input }) =>
      planned.includes(String(input))
        ? `${String(input)} is ${notYet} (allowed: ${now.join(", ")})`
        : `expected one of ${now.join(", ")}`,
  });
}

function measured(parse: (text: string) => number | undefined, what: string, least: number, most: number) {
  return z.unknown().transform((value, context) => {
    const parsed = typeof value === "string" ? parse(value) : undefined;
    if (parsed !== undefined && parsed >= least && parsed <= most) return parsed;
    context.addIssue({ code: "custom", message: `expected ${what}`, input: value });
    return z.NEVER;
  });
}

/** Of a PCI device, with its domain, as lspci -D tells it. */
export const pciAddress = z
  .string()
  .regex(
    /^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/i,
    "expected the address of a PCI device, such as 0000:03:00.0",
  )
  .transform((text) => text.toLowerCase());

export const hourMs = 3_600_000;
export const duration = (example: string, leastMs = 1, mostMs = hourMs) =>
  measured(
    parseDurationMs,
    `a duration of ${leastMs} ms to ${mostMs / 1000} s with its unit (ms, s, m, h), such as ${example}`,
    leastMs,
    mostMs,
  );
export const size = (example: string, leastBytes: number, mostBytes: number) =>
  measured(
    parseSizeBytes,
    `a size of ${sizeText(leastBytes)} to ${sizeText(mostBytes)} with its unit (KiB, MiB, GiB), such as ${example}`,
    leastBytes,
    mostBytes,
  );

export const whole = (least: number, most: number) => {
  const message = `expected a whole number from ${least} to ${most}`;
  return z.int(message).min(least, message).max(most, message);
};
export const port = whole(1, 65_535);
/** Names become parts of paths, of rules' comments and of kernel arguments. */
export const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, "expected a letter a-z, then at most 31 of a-z, 0-9 and -");
export const absolutePath = z.string().regex(/^\/[^\0\n]{1,4095}$/, "expected an absolute path");

/**
 * Interface names as the kernel takes them (dev_valid_name in net/core/dev.c, IFNAMSIZ), besides those that mean something else to nft(8)
 * (quotes, and `*` for all cards whose names begin so) or to ip(8) (what begins like an option).
 */
export const card = z
  .string()
  .refine(
    (text) =>
      /^(?!-)[^\s/:"*\\]+$/.test(text) && ![".", ".."].includes(text) && Buffer.byteLength(text) <= 15,
    'expected the name of a network card, at most 15 characters, none of them ", * or \\, see ip link',
  );

export const mebi = 1024 ** 2;

function sizeText(bytes: number): string {
  return bytes < mebi ? `${bytes / 1024} KiB` : `${bytes / mebi} MiB`;
}
