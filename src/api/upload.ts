/** A bundle that arrives as the body of a request: read as slowly as the slot takes it, and not kept anywhere on the way. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { TwinboardError } from "../errors.ts";

/** A sender that sends nothing for so long, while bytes are wanted, has gone away. */
const silenceTimeoutMs = 60_000;

export interface Upload {
  /** Read once; its iterator's `return` says that nobody will read it, or go on reading. */
  readonly stream: AsyncIterable<Uint8Array>;
  /** From the Content-Length; absent for a body of unknown size. */
  readonly sizeBytes?: number;
  /** Resolves when nobody reads the body any more: it came to its end, it broke off, or the reader has had enough. */
  readonly over: Promise<void>;
  /**
   * Asks a sender that waits for `100 Continue` (RFC 9110, section 10.1.1) for the body. Called before the head of the answer: an interim
   * answer cannot follow the final one.
   */
  readonly ask: () => void;
}

export function receiveUpload(incoming: IncomingMessage, outgoing: ServerResponse): Upload {
  const { promise: over, resolve: finish } = Promise.withResolvers<void>();
  incoming.once("close", finish);
  async function* read(): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    const chunks = incoming.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
    // Counted only while somebody waits for bytes: a slow disk is not the sender's fault.
    const next = async (): Promise<IteratorResult<unknown>> => {
      const timer = setTimeout(() => incoming.destroy(new Error("it fell silent")), silenceTimeoutMs);
      try {
        return await chunks.next();
      } finally {
        clearTimeout(timer);
      }
    };
    try {
      for (let { done, value } = await next(); done !== true; { done, value } = await next()) {
        bytes += (value as Buffer).length;
        yield value as Buffer;
      }
    } catch (error) {
      throw new TwinboardError("bundle-truncated", {
        detail: `the sender went away after ${bytes} bytes`,
        cause: error,
      });
    } finally {
      await chunks.return?.();
      finish();
    }
  }
  const body = read();
  const stream = {
    [Symbol.asyncIterator]: () => ({
      next: () => body.next(),
      return: async () => {
        // A generator that was never begun ends without its finally.
        finish();
        return await body.return(undefined);
      },
    }),
  };
  const ask = (): void => {
    if (incoming.headers.expect?.toLowerCase() === "100-continue") outgoing.writeContinue();
  };
  const declared = incoming.headers["content-length"];
  return { stream, over, ask, ...(declared === undefined ? {} : { sizeBytes: Number(declared) }) };
}
