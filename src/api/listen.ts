/** Serves the API on a unix socket (unix(7)): who may open it may use it, so its mode and group are the access control. */
import { chmod, chown, mkdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { dirname } from "node:path";
import { getRequestListener } from "@hono/node-server";
import { TwinboardError } from "../errors.ts";
import { findGroup } from "../system/accounts.ts";
import type { Upgrade } from "./console-upgrade.ts";

/** sun_path of sockaddr_un, with its terminating zero byte. */
const maxSocketPathBytes = 108;
const socketMode = 0o660;
const bundleType = "application/octet-stream";
const bodyTimeoutMs = 10_000;
const groupName = "twinboard";

/** Everything but a bundle is small: whoever needs longer for it holds a connection that others may want. */
function endIfSlow(request: IncomingMessage): void {
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy();
  }, bodyTimeoutMs);
  request.once("close", () => clearTimeout(timer));
}

/**
 * Listens on `path`. A socket that is left there from an earlier daemon is replaced, so the caller holds the system's lock.
 * Errors: `address-in-use`.
 */
export async function listen(
  path: string,
  fetch: Parameters<typeof getRequestListener>[0],
  upgrade: Upgrade,
): Promise<Server> {
  if (Buffer.byteLength(path) >= maxSocketPathBytes)
    throw new TwinboardError("address-in-use", {
      detail: `${path}: a socket's path has at most ${maxSocketPathBytes - 1} bytes`,
    });
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false });
  const handle = (request: IncomingMessage, answer: ServerResponse): void => {
    if (request.headers["content-type"] !== bundleType) endIfSlow(request);
    void listener(request, answer);
  };
  const server = createServer(
    {
      // A bundle may take long to arrive; the headers of a request may not.
      requestTimeout: 0,
      headersTimeout: 10_000,
      keepAliveTimeout: 5000,
      maxHeaderSize: 16_384,
      shouldUpgradeCallback: upgrade.wants,
    },
    handle,
  );
  server.on("upgrade", upgrade.take);
  // Node would answer `100 Continue` before anybody has looked at the request; upload.ts does it when the body is wanted.
  server.on("checkContinue", handle);
  server.maxConnections = 128;
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) =>
      reject(new TwinboardError("address-in-use", { detail: `${path}: ${error.message}`, cause: error })),
    );
    server.listen(path, resolve);
  });
  // Until the chmod nobody but root can connect: a fresh socket lacks write permission for others.
  const group = await findGroup(groupName);
  if (group !== undefined) await chown(path, -1, group.gid);
  await chmod(path, socketMode);
  return server;
}
