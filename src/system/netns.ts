/** The door to network namespaces with a name (ip-netns(8)). */
import { access } from "node:fs/promises";
import { run } from "./process.ts";

/** Names of all there are. Errors: `missing-program`, `command-failed`. */
export async function namespaces(): Promise<ReadonlySet<string>> {
  const { stdout } = await run("ip", ["-json", "netns", "list"]);
  const text = stdout.toString().trim();
  return new Set(text === "" ? [] : (JSON.parse(text) as { name: string }[]).map(({ name }) => name));
}

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
  if ((await namespaces()).has(name)) await run("ip", ["netns", "delete", name]);
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

/** Runs ip(8) inside once for all these lines; it ends at the first that fails. Errors: `command-failed`. */
export async function ipBatchIn(name: string, lines: readonly string[], signal: AbortSignal): Promise<void> {
  await run("ip", ["-netns", name, "-batch", "-"], { signal, input: `${lines.join("\n")}\n` });
}
