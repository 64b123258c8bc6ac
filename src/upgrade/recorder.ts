/**
 * Writes a story's records. The service comes before the journal: where a record must not stop what is under way (a full disk while the
 * service is brought back), it is kept, and written before the next one, so that a journal is always a whole beginning of what happened.
 */
import type { Journal } from "./journal.ts";
import type { JournalRecord } from "./record.ts";

export type Entry = Omit<JournalRecord, "v" | "seq">;

export class Recorder {
  readonly #journal: Journal;
  readonly #onTrouble: (error: unknown) => void;
  #kept: Entry[] = [];

  constructor(journal: Journal, onTrouble: (error: unknown) => void) {
    this.#journal = journal;
    this.#onTrouble = onTrouble;
  }

  /** Writes what was kept. Errors: those of the disk. */
  async catchUp(): Promise<void> {
    for (let first = this.#kept[0]; first !== undefined; first = this.#kept[0]) {
      await this.#journal.append(first);
      this.#kept.shift();
    }
  }

  /** On the disk before it resolves, and all that was kept before it. Errors: those of the disk. */
  async write(entry: Entry): Promise<JournalRecord> {
    await this.catchUp();
    return await this.#journal.append(entry);
  }

  /** The same if the disk allows; if not, the record is known to this daemon alone until the next is written (`seq` 0). */
  async writeOrKeep(entry: Entry): Promise<JournalRecord> {
    try {
      return await this.write(entry);
    } catch (error) {
      this.#onTrouble(error);
      this.#kept.push(entry);
      return { v: 1, seq: 0, ...entry };
    }
  }
}
