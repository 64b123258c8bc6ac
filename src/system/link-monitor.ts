/**
 * Tells that something about the cards of this network namespace has changed, by a kept `ip monitor link` (ip-monitor(8)). What has changed
 * must be read: a change may be told late, twice or together with others, and after a gap in the watch one is told in any case.
 */
import { type ChildProcess, spawn } from "node:child_process";

const restartMs = 1000;

/** Watches from now on, until its end. */
export function watchLinks(onChange: () => void): { end(): void } {
  return new LinkMonitor(onChange);
}

class LinkMonitor {
  readonly #onChange: () => void;
  #child: ChildProcess | undefined;
  #restart: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#start();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#restart);
    this.#child?.kill("SIGKILL");
  }

  #start(): void {
    const child = spawn("ip", ["-oneline", "monitor", "link"], { stdio: ["ignore", "pipe", "ignore"] });
    this.#child = child;
    child.stdout.on("data", () => this.#onChange());
    child.once("error", () => undefined);
    child.once("close", () => {
      if (this.#ended) return;
      this.#onChange();
      this.#restart = setTimeout(() => {
        this.#start();
        this.#onChange();
      }, restartMs).unref();
    });
    // The kept child alone is no reason for a program to stay alive.
    child.unref();
    (child.stdout as unknown as { unref?: () => void }).unref?.();
  }
}
