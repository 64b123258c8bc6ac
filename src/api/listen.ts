/** Serves the API on a unix socket (unix(7)): who may open it may use it, so its mode and group are the access control. */
import { chmod, chown, mkdir, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { dirname } from "node:path";
import { getRequestListener } from "@hono/node-server";
import { TwinboardError } from "../errors.ts";
import { run } from "../system/process.ts";

/** sun_path of sockaddr_un, with its terminating zero byte. */
const maxSocketPathBytes = 108;
const socketMode = 0o660;
const groupName = "twinboard";

/** Id of the group, or `undefined` if the host has none of that name (getent(1), exit code 2). */
async function groupId(name: string): Promise<number | undefined> {
  const { stdout, exitCode } = await run("getent", ["group", name], { allowedExitCodes: [2] });
  const id = Number(stdout.toString().split(":")[2]);
  return exitCode === 0 && Number.isInteger(id) ? id : undefined;
}

/**
 * Listens on `path`. A socket that is left there from an earlier daemon is replaced, so the caller holds the system's lock.
 * Errors: `address-in-use`, `request-invalid` never: what a client sends wrong is answered to the client.
 */
export async function listen(path: string, fetch: Parameters<typeof getRequestListener>[0]): Promise<Server> {
  if (Buffer.byteLength(path) >= maxSocketPathBytes)
    throw new TwinboardError("address-in-use", {
      detail: `${path}: a socket's path has at most ${maxSocketPathBytes - 1} bytes`,
    });
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false });
  const handle = (...args: Parameters<typeof listener>): void => void listener(...args);
  const server = createServer(
    // A bundle may take long to arrive; the headers of a request may not.
    { requestTimeout: 0, headersTimeout: 10_000, keepAliveTimeout: 5000, maxHeaderSize: 16_384 },
    handle,
  );
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
  const group = await groupId(groupName);
  if (group !== undefined) await chown(path, -1, group);
  await chmod(path, socketMode);
  return server;
}
