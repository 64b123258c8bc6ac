/**
 * Questions about flows, put by ordinary connections of this host: a SYN into a flow's own 4-tuple. An end that has the flow answers
 * with a challenge ACK that carries its exact numbers (RFC 5961, section 4), one that has not with a reset. Either passes the rules
 * as a segment of the flow; these sockets wait for nothing.
 */
import { connect, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import type { ServiceFlow } from "./flows.ts";
import type { BoardLinks } from "./plan.ts";
import { probePort } from "./probe-ports.ts";

export interface Syn {
  readonly localAddress: string;
  readonly localPort: number;
  readonly host: string;
  readonly port: number;
}

/** Sockets open at once; each is a descriptor until the next turn of the loop. */
const socketsAtOnce = 64;

/** In the board's name, from the service's own address and port. */
export function synToClient({ source, sourcePort, destination, destinationPort }: ServiceFlow): Syn {
  return { localAddress: destination, localPort: destinationPort, host: source, port: sourcePort };
}

/** The rules put the client's address and port in place of this host's: `index` finds them in the maps `asker`. */
export function synToBoard({ answeredBy, answeredPort }: ServiceFlow, links: BoardLinks, index: number): Syn {
  return {
    localAddress: links.host,
    localPort: probePort(index),
    host: answeredBy,
    port: answeredPort,
  };
}

/** Sends them all. A port that is taken just now, or no descriptor left: that question is not put, and is due again. */
export async function sendSyns(syns: readonly Syn[]): Promise<void> {
  for (let sent = 0; sent < syns.length; sent += socketsAtOnce) {
    const sockets = syns.slice(sent, sent + socketsAtOnce).map((syn) => open(syn));
    await setImmediate();
    for (const socket of sockets) socket.destroy();
  }
}

/** A question whose socket waits: `refused` when the answer comes to the socket itself. */
export class OpenProbe {
  refused = false;
  readonly #socket: Socket;

  constructor(syn: Syn) {
    this.#socket = open(syn);
    this.#socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED") this.refused = true;
    });
  }

  end(): void {
    this.#socket.destroy();
  }
}

function open(syn: Syn): Socket {
  const socket = connect(syn);
  socket.on("error", () => undefined);
  socket.on("connect", () => socket.destroy());
  return socket;
}
