/**
 * The outside end that is a serial device. The package sets it up and knows its modem lines; the bytes pass by Node's own tty and by
 * write(2): the package's own reading never ends once a device was pulled while it sent (github.com/serialport/bindings-cpp, issue 162).
 */
import { closeSync, constants, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { isatty, ReadStream } from "node:tty";
import type { LinuxPortBinding } from "@serialport/bindings-cpp";
import { uucpLock } from "./device.ts";
import type { OutsideEnd, OutsideEvents } from "./ends.ts";
import { descriptorOf, Outlet } from "./outlet.ts";
import { keepSettings, putBackSettings, stayWithoutHangup } from "./settings.ts";
import type { SerialSpec } from "./spec.ts";

const soonestMs = 50;
const slowestMs = 1000;
/** Until what was written is on the wire; where the other side does not let us send, the break is left out. */
const drainTimeoutMs = 2000;
/** Of the kernel's buffer for a port (serial_core.c, UART_XMIT_SIZE), what may be empty before it is filled again. */
const refillBytes = 1024;
const slowestRefillMs = 100;

export class SerialEnd implements OutsideEnd {
  readonly keeps = false;
  readonly #spec: SerialSpec;
  readonly #events: OutsideEvents;
  readonly #settingsFile: string;
  #fd: number | undefined;
  #port: LinuxPortBinding | undefined;
  #stream: ReadStream | undefined;
  #outlet: Outlet | undefined;
  #listening = true;
  #delayMs = soonestMs;
  #timer: NodeJS.Timeout | undefined;
  #opening: Promise<void>;
  #draining: Promise<boolean> | undefined;
  #trouble: string | null = null;
  #ended = false;

  /** `settingsFile`: where the device's own settings are kept. */
  constructor(spec: SerialSpec, events: OutsideEvents, settingsFile: string) {
    this.#spec = spec;
    this.#events = events;
    this.#settingsFile = settingsFile;
    this.#opening = this.#try();
  }

  get open(): boolean {
    return this.#stream !== undefined;
  }

  get trouble(): string | null {
    return this.#trouble;
  }

  get breakMs(): number | null {
    return this.#spec.breakMs;
  }

  async attempted(): Promise<void> {
    await this.#opening;
  }

  write(bytes: Buffer): number {
    return this.#outlet?.write(bytes) ?? 0;
  }

  listen(on: boolean): void {
    this.#listening = on;
    if (on) this.#stream?.resume();
    else this.#stream?.pause();
  }

  async sendBreak(): Promise<void> {
    const port = this.#port;
    const { dtr, rts, breakMs } = this.#spec;
    if (port === undefined || breakMs === null || !(await this.#drained(port))) return;
    // It is begun and ended before the modem lines are set, and there are devices that have none: they fail too late to matter.
    await port.set({ dtr, rts, brk: true }).catch(() => undefined);
    await sleep(breakMs);
    await port.set({ dtr, rts, brk: false }).catch(() => undefined);
  }

  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    await this.#opening;
    await putBackSettings(this.#settingsFile, async () => {
      // To close a port that is not let send takes the kernel half a minute (serial_core.c, closing_wait).
      if (this.#port !== undefined && !(await this.#drained(this.#port)))
        await this.#port.flush().catch(() => undefined);
      await this.#letGo();
    });
  }

  /** Whether what was written is on the wire. Where it cannot leave, one thread waits for it, and not more. */
  async #drained(port: LinuxPortBinding): Promise<boolean> {
    if (this.#draining !== undefined) return false;
    const draining = port.drain().then(
      () => true,
      () => false,
    );
    this.#draining = draining.finally(() => (this.#draining = undefined));
    const late = new AbortController();
    const timeout = sleep(drainTimeoutMs, false, { signal: late.signal }).catch(() => false);
    try {
      return await Promise.race([this.#draining, timeout]);
    } finally {
      late.abort();
    }
  }

  async #try(): Promise<void> {
    const { device } = this.#spec;
    try {
      const { stream, trouble } = await this.#open();
      stream.on("data", (bytes: Buffer) => this.#events.onBytes(bytes));
      const lost = (): void => void this.#lost(stream);
      stream.on("error", lost);
      stream.on("end", lost);
      stream.on("close", lost);
      this.#stream = stream;
      // Not before bytes can pass: who sees that all is well may send at once.
      this.#trouble = trouble;
      this.#delayMs = soonestMs;
      this.listen(this.#listening);
      this.#events.onChange();
    } catch (error) {
      this.#trouble = sentence(device, error as NodeJS.ErrnoException);
      await this.#letGo();
      this.#again();
    }
  }

  /** `trouble`: what does not work although bytes pass. */
  async #open(): Promise<{ readonly stream: ReadStream; readonly trouble: string | null }> {
    const { device, dtr, rts } = this.#spec;
    // At the beginning, whether the device is there or not: by then the files may be another version's.
    const { LinuxBinding } = await import("@serialport/bindings-cpp");
    const lock = await uucpLock(device);
    if (lock !== undefined)
      throw new Error(`${device} is in use: process ${lock.pid} has the lock ${lock.path}`);
    // Open before anything is asked or set, so that its modem lines do not rise and fall in between.
    const fd = openSync(device, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
    this.#fd = fd;
    if (!isatty(fd)) throw new Error(`${device} is not a serial line`);
    await keepSettings(device, this.#settingsFile);
    const port = await LinuxBinding.open(openOptions(this.#spec));
    this.#port = port;
    await stayWithoutHangup(device);
    const failure = await port.set({ dtr, rts, brk: false }).then(
      () => null,
      ({ message }: Error) => message,
    );
    const isMissed = failure !== null && (!dtr || !rts);
    this.#outlet = new Outlet({
      fd: port.fd ?? -1,
      soonestMs: Math.min(slowestRefillMs, Math.ceil((refillBytes * 10_000) / this.#spec.baud)),
      slowestMs: slowestRefillMs,
      onRoom: () => this.#events.onChange(),
      onEnd: () => this.#stream?.destroy(),
    });
    // It opens the tty once more and puts that in the place of this descriptor; the package's own, which is locked, stays as it is.
    const stream = new ReadStream(fd);
    if (descriptorOf(stream) === fd) this.#fd = undefined;
    return { stream, trouble: isMissed ? `${device}: DTR and RTS cannot be set: ${failure}` : null };
  }

  async #lost(stream: ReadStream): Promise<void> {
    if (this.#stream !== stream) return;
    this.#trouble = `${this.#spec.device} was unplugged`;
    await this.#letGo();
    this.#again();
  }

  async #letGo(): Promise<void> {
    const stream = this.#stream;
    const port = this.#port;
    this.#stream = undefined;
    this.#port = undefined;
    this.#outlet?.end();
    this.#outlet = undefined;
    stream?.destroy();
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    if (stream !== undefined) this.#events.onChange();
    await port?.close().catch(() => undefined);
  }

  #again(): void {
    if (this.#ended) return;
    this.#timer = setTimeout(() => {
      this.#opening = this.#try();
    }, this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, slowestMs);
  }
}

function openOptions(
  spec: SerialSpec,
): Parameters<typeof import("@serialport/bindings-cpp").LinuxBinding.open>[0] {
  const { device, baud, dataBits, parity, stopBits, flowControl } = spec;
  return {
    path: device,
    baudRate: baud,
    dataBits,
    parity,
    stopBits,
    rtscts: flowControl === "rts-cts",
    xon: flowControl === "xon-xoff",
    xoff: flowControl === "xon-xoff",
  };
}

function sentence(device: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === "ENOENT") return `${device} is not there`;
  if (code === "EBUSY" || message.includes("Cannot lock port"))
    return `${device} is in use by another program`;
  if (code === "EIO" || code === "ENXIO" || code === "ENODEV") return `${device}: there is no port behind it`;
  return message.includes(device) ? message : `${device}: ${message}`;
}
