/**
 * The door to a unix socket in a directory that belongs to somebody else, who may put anything there at any time: a symbolic link, above
 * all, that leads to another program's socket. So what is there is first linked into a directory of our own, where it stays what it is
 * while it is looked at and connected to (link(2) follows no symbolic link).
 */
import { rmSync } from "node:fs";
import { link, lstat } from "node:fs/promises";
import { connect, type OnReadOpts, type Socket } from "node:net";

export interface ForeignSocket {
  readonly path: string;
  /** Whose it must be. */
  readonly uid: number;
}

/**
 * Nothing that the socket has to say is missed by who listens from the moment on that this resolves.
 * @param name in a directory of our own, on the same file system; there only for the moment.
 * Errors: what link(2) and connect(2) say (`ENOENT`, `ECONNREFUSED`, …), or a sentence if it is no socket of that user.
 */
export async function connectForeign(
  { path, uid }: ForeignSocket,
  name: string,
  onread?: OnReadOpts,
): Promise<Socket> {
  try {
    await link(path, name);
    const found = await lstat(name);
    if (!found.isSocket() || found.uid !== uid) throw new Error(`${path} is not a socket of user ${uid}`);
    const socket = connect({ path: name, ...(onread === undefined ? {} : { onread }) });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      // It stays, so that an end that comes before anybody listens is not an uncaught error.
      socket.on("error", reject);
    });
    return socket;
  } finally {
    // At once: between the connection and its use nothing else may happen.
    rmSync(name, { force: true });
  }
}
