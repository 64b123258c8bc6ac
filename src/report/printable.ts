/** What can be shown of text that others wrote: nothing that would colour, move, or turn the direction of what is around it. */

/** Sequences by which a terminal is steered (ECMA-48, section 5.4). */
const steering = /\p{Cc}\[[0-?]*[ -/]*[@-~]/gu;

/** Controls, halves of characters, and what is no character in XML. */
const unprintable = /[[\p{Cc}\p{Cs}\p{Bidi_Control}\ufeff\ufffe\uffff]--[\t\n]]/gv;

/** Lines and tabs stay. */
export function printable(text: string): string {
  return text.replace(steering, "").replace(unprintable, "\ufffd");
}
