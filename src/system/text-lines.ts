/** Cuts a stream of bytes into lines, with a limit on what one line may hold: whoever sends must not fill our memory. */

const newline = 0x0a;

export class LineCutter {
  readonly #limitBytes: number;
  #rest: Buffer[] = [];
  #restBytes = 0;

  /** `limitBytes` counts a line without its newline. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** The lines that `chunk` completes, in order; `undefined` stands for one that was longer than the limit, and is lost. */
  push(chunk: Buffer): (string | undefined)[] {
    const lines: (string | undefined)[] = [];
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      this.#keep(chunk.subarray(start, end));
      lines.push(this.#take());
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
    return lines;
  }

  #keep(part: Buffer): void {
    this.#restBytes += part.length;
    if (this.#restBytes <= this.#limitBytes) this.#rest.push(part);
    else this.#rest = [];
  }

  #take(): string | undefined {
    const tooLong = this.#restBytes > this.#limitBytes;
    const line = tooLong ? undefined : Buffer.concat(this.#rest).toString().replace(/\r$/, "");
    this.#rest = [];
    this.#restBytes = 0;
    return line;
  }
}
