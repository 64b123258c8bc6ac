/**
 * HTML in which everything is text unless it was made here: console lines, bundle fields and service names are other people's input.
 * What comes out is also well-formed XML, so that a test can hold it against a strict parser.
 */

import { printable } from "./printable.ts";

/** Text that is HTML already. Only `html` makes it. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Content = Markup | string | number | null | undefined | readonly Content[];

const maxTextCharacters = 20_000;

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Harmless in an element and in a quoted attribute; longer than 20,000 characters it is cut. */
export function escapeText(text: string): string {
  const cut = text.length > maxTextCharacters ? `${text.slice(0, maxTextCharacters)}…` : text;
  return printable(cut).replace(/[&<>"']/g, (found) => entities[found] ?? "");
}

/** A template whose values are escaped, unless they are Markup. */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new Markup(
    parts.map((part, index) => (index === 0 ? part : `${textOf(values[index - 1])}${part}`)).join(""),
  );
}

function textOf(value: Content): string {
  if (value === null || value === undefined) return "";
  if (value instanceof Markup) return value.text;
  return typeof value === "object" ? value.map(textOf).join("") : escapeText(String(value));
}
