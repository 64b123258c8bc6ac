/** Which daemon a verb talks to. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Option } from "@commander-js/extra-typings";
import { TwinboardError } from "../errors.ts";

export const socketDirectory = "/run/twinboard";
const suffix = ".sock";

export interface SocketOptions {
  readonly socket?: string | undefined;
  readonly system?: string | undefined;
}

/** The options that name a daemon, for every verb that talks to one. */
export const socketOption = () =>
  new Option("--socket <path>", "socket of the daemon").env("TWINBOARD_SOCKET");
export const systemOption = () =>
  new Option("--system <name>", `the system whose socket is ${socketDirectory}/<name>${suffix}`);

export function defaultSocket(system: string): string {
  return join(socketDirectory, `${system}${suffix}`);
}

/** The socket that was named, or the only one that there is. Errors: `daemon-unreachable`, `usage`. */
export async function findSocket({ socket, system }: SocketOptions): Promise<string> {
  if (socket !== undefined) return socket;
  if (system !== undefined) return defaultSocket(system);
  const names = await readdir(socketDirectory).catch(() => []);
  const sockets = names.filter((name) => name.endsWith(suffix));
  const [only] = sockets;
  if (only === undefined)
    throw new TwinboardError("daemon-unreachable", { detail: `there is no socket in ${socketDirectory}` });
  if (sockets.length > 1) {
    const systems = sockets.map((name) => name.slice(0, -suffix.length)).toSorted();
    throw new TwinboardError("usage", {
      detail: `name one of the systems by --system: ${systems.join(", ")}`,
    });
  }
  return join(socketDirectory, only);
}
