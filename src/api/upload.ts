/** A bundle that arrives as the body of a request: read as slowly as the slot takes it, and not kept anywhere on the way. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { TwinboardError } from "../errors.ts";

/** A sender that sends nothing for so long, while bytes are wanted, has gone away. */
const silenceTimeoutMs = 60_000;

export interface Upload {
  readonly stream: AsyncIterable<Uint8Array>;
  /** From the Content-Length; absent for a body of unknown size. */
  readonly sizeBytes?: number;
  /** Resolves when nobody reads the body any more: it came to its end, it broke off, or the reader has had enough. */
  readonly over: Promise<void>;
}

/** The sender that waits for `100 Continue` (RFC 9110, section 10.1.1) is asked for the body when the first byte of it is wanted. */
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
      if (incoming.headers.expect?.toLowerCase() === "100-continue") outgoing.writeContinue();
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
  const declared = incoming.headers["content-length"];
  return { stream: read(), over, ...(declared === undefined ? {} : { sizeBytes: Number(declared) }) };
}
