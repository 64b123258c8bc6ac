/** The door to network namespaces with a name (ip-netns(8)). */
import { access } from "node:fs/promises";
import { run } from "./process.ts";

/** Whether there is one of that name: it is a file (ip-netns(8)). */
export async function hasNamespace(name: string): Promise<boolean> {
  return await access(`/run/netns/${name}`).then(
    () => true,
    () => false,
  );
}

/** Makes it unless it is there. Errors: `command-failed`. */
export async function addNamespace(name: string, signal: AbortSignal): Promise<void> {
  if (!(await hasNamespace(name))) await run("ip", ["netns", "add", name], { signal });
}

/** Removes it, and with it every card that is in it and in no other; repeatable. Errors: `command-failed`. */
export async function deleteNamespace(name: string): Promise<void> {
  if (await hasNamespace(name)) await run("ip", ["netns", "delete", name]);
}

/** Writes settings inside, one after the other; a path is below /proc/sys. Errors: `command-failed`. */
export async function writeSettingsIn(
  name: string,
  settings: readonly (readonly [path: string, value: string])[],
  signal: AbortSignal,
): Promise<void> {
  const script = 'while read -r path value; do echo "$value" >"/proc/sys/$path" || exit; done';
  const input = settings.map(([path, value]) => `${path} ${value}\n`).join("");
  await run("nsenter", [`--net=/run/netns/${name}`, "sh", "-c", script], { signal, input });
}

/** Runs ip(8) inside. Errors: `command-failed`. */
export async function ipIn(name: string, words: readonly string[], signal: AbortSignal): Promise<string> {
  const { stdout } = await run("ip", ["-netns", name, ...words], { signal });
  return stdout.toString();
}

/**
 * `writeSettingsIn` and then `ipBatchIn`; all of it costs the daemon one program. Errors: `command-failed`.
 */
export async function configureIn(
  name: string,
  settings: readonly (readonly [path: string, value: string])[],
  lines: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  // An empty line ends the settings. The shell reads no further than that (read in POSIX: "shall not read past the newline").
  const script = `while read -r path value && [ -n "$path" ]; do echo "$value" >"/proc/sys/$path" || exit; done; exec ip -batch -`;
  const input = [...settings.map(([path, value]) => `${path} ${value}`), "", ...lines, ""].join("\n");
  await run("nsenter", [`--net=/run/netns/${name}`, "sh", "-c", script], { signal, input });
}

/** Runs ip(8) inside once for all these lines; it ends at the first that fails. Errors: `command-failed`. */
export async function ipBatchIn(name: string, lines: readonly string[], signal: AbortSignal): Promise<void> {
  await run("ip", ["-netns", name, "-batch", "-"], { signal, input: `${lines.join("\n")}\n` });
}

/** As `ipBatchIn`, in this network namespace. Errors: `command-failed`. */
export async function ipBatch(lines: readonly string[], signal?: AbortSignal): Promise<void> {
  const input = `${lines.join("\n")}\n`;
  await run("ip", ["-batch", "-"], { input, ...(signal === undefined ? {} : { signal }) });
}
