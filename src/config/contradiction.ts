/** What is wrong with values that each may be by themselves. */
export interface Contradiction {
  /** Keys and indexes that lead to the value to change. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}
