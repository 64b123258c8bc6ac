/** Ctrl-C, SIGTERM, a terminal that is closed and a reader who goes away let go of what is watched; what goes on in the daemon goes on. */

/** 128 + SIGINT, as a shell reports it. */
const detachedExitCode = 130;
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface LetGo extends Disposable {
  /** Aborts when somebody has let go. */
  readonly signal: AbortSignal;
  /** The exit code of `watching`, or 130 if it was let go of. */
  or(watching: (signal: AbortSignal) => Promise<number>): Promise<number>;
}

export function letGoOnSignals(): LetGo {
  const controller = new AbortController();
  const letGo = (): void => controller.abort();
  for (const name of signals) process.once(name, letGo);
  process.stdout.once("error", letGo);
  return {
    signal: controller.signal,
    or: async (watching) => {
      try {
        return await watching(controller.signal);
      } catch (error) {
        if (!controller.signal.aborted) throw error;
        return detachedExitCode;
      }
    },
    [Symbol.dispose]: () => {
      for (const name of signals) process.off(name, letGo);
      process.stdout.off("error", letGo);
    },
  };
}
