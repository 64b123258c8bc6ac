/** Lines on a terminal that are drawn again and again in the same place. */

export class InPlace {
  readonly #out: NodeJS.WriteStream;
  #drawn = 0;
  #closed = false;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    out.write("\u001B[?25l");
  }

  /** How wide a line may be. The last column is left free: some terminals wrap when it is written. */
  get columns(): number {
    return Math.max(20, (this.#out.columns || 80) - 1);
  }

  draw(lines: readonly string[]): void {
    if (this.#closed) return;
    const rows = Math.max(2, (this.#out.rows || 24) - 1);
    // On a low terminal the newest lines are worth more than the oldest.
    const shown =
      lines.length > rows ? [...lines.slice(0, 1), ...lines.slice(lines.length - rows + 1)] : lines;
    const up = this.#drawn === 0 ? "" : `\u001B[${this.#drawn}A`;
    // Each line clears what is left of the one before it: clearing all first would flicker.
    this.#out.write(`${up}\r${shown.map((line) => `${line}\u001B[K\n`).join("")}\u001B[J`);
    this.#drawn = shown.length;
  }

  /** Draws nothing from here on, and leaves the terminal as it was. Repeatable. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#out.write("\u001B[?25h");
  }
}

/** The text, cut to a width of so many columns. */
export function fit(text: string, width: number): string {
  if (text.length <= width) return text;
  return width < 2 ? "" : `${text.slice(0, width - 1)}…`;
}
