/** Lists of cores as the kernel prints and takes them (cpuset(7), "List format"): `0-2,4`. */

/** One more than the highest number that a list may have. */
const mostCores = 4096;

/** In ascending order, each once; `undefined` if it is no such list. An empty text is an empty list. */
export function parseCoreList(text: string): readonly number[] | undefined {
  const cores = new Set<number>();
  const parts = text.trim() === "" ? [] : text.trim().split(",");
  for (const part of parts) {
    const [matched, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? [];
    if (matched === undefined || Number(from) > Number(to) || Number(to) >= mostCores) return undefined;
    for (let core = Number(from); core <= Number(to); core += 1) cores.add(core);
  }
  return [...cores].toSorted((one, two) => one - two);
}

/** Cores that a process or thread may use, by the text of its `status` (proc(5), `Cpus_allowed_list`); `undefined` if it is none. */
export function coresInStatus(text: string): readonly number[] | undefined {
  const list = /^Cpus_allowed_list:\t(.+)$/m.exec(text)?.[1];
  return list === undefined ? undefined : parseCoreList(list);
}

/** The shortest list of these cores. */
export function coreListText(cores: Iterable<number>): string {
  const runs: [from: number, to: number][] = [];
  for (const core of [...new Set(cores)].toSorted((one, two) => one - two)) {
    const last = runs.at(-1);
    if (last?.[1] === core - 1) last[1] = core;
    else runs.push([core, core]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(",");
}
