/** The `twinboard` command. */
import { runProgram } from "./cli/program.ts";

// The daemon brings everything with it; the verbs that only talk to it shall not wait for that.
process.exitCode = await runProgram(process.argv, {
  serve: async (options) => await (await import("./daemon.ts")).serve(options),
  takeDown: async (options) => await (await import("./daemon.ts")).takeDown(options),
  check: async (options) => await (await import("./check.ts")).check(options),
});
