/** What the switch of a line asks of its three ends: the outside, and a board each. None of them ever waits. */

export interface End {
  /** Bytes can be given to it: it is plugged in, connected. */
  readonly open: boolean;
  /** Takes what fits at once and returns how many bytes that was; after fewer than all, it tells when it is worth trying again. */
  write(bytes: Buffer): number;
  /** `false`: what comes is left where it is, so that whoever sends it has to wait. Repeatable. */
  listen(on: boolean): void;
  /** What keeps it from being open, as a sentence; `null`: nothing. */
  readonly trouble: string | null;
}

export interface BoardEnd extends End {
  /** All that the board has sent before this call and that nobody has read yet. */
  takeSent(): Buffer;
}

export interface OutsideEnd extends End {
  /** While it is not open, what a board sends waits, as with a socket; `false`: it is gone, as on a wire that ends nowhere. */
  readonly keeps: boolean;
  /** Milliseconds of a break after each change of the holder; `null`: none. */
  readonly breakMs: number | null;
  /** Resolves when what was written before and the break itself are on the wire, or cannot be. */
  sendBreak(): Promise<void>;
  /** Resolves after the attempt to open it that is under way, or the last one. */
  attempted(): Promise<void>;
  /** Lets go of it, and puts back what it changed. */
  end(): Promise<void>;
}

export interface OutsideEvents {
  readonly onBytes: (bytes: Buffer) => void;
  /** It was opened, closed, or has room again. */
  readonly onChange: () => void;
}
