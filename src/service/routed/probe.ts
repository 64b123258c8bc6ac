/** One SYN after another into the 4-tuple of a flow, by an ordinary connection of this host. */
import { connect, type Socket } from "node:net";
import { systemClock } from "../../system/clock.ts";
import type { ServiceFlow } from "./flows.ts";

export class Probe {
  readonly flow: ServiceFlow;
  /** The client's end was reset once; the next SYN is to confirm it and to reach the board. */
  confirming = false;
  /** The client answered this host itself that it knows no such flow (kernels before 6.3 take its reset for a stray one). */
  refused = false;
  #socket: Socket | undefined;
  #sentMs = 0;

  constructor(flow: ServiceFlow) {
    this.flow = flow;
  }

  /** Milliseconds since the last SYN. */
  silentMs(): number {
    return systemClock.monotonic() - this.#sentMs;
  }

  /** Sends a SYN. What it draws passes the rules, never this socket. */
  send(): void {
    this.end();
    const { source, sourcePort, destination, destinationPort } = this.flow;
    this.#sentMs = systemClock.monotonic();
    const socket = connect({
      host: source,
      port: sourcePort,
      localAddress: destination,
      localPort: destinationPort,
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED") this.refused = true;
    });
    socket.on("connect", () => socket.destroy());
    this.#socket = socket;
  }

  end(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }
}
