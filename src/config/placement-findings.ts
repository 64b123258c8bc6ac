/** Whether the cores that a configuration gives its boards are there and fit for it. Pure: what the host has is told. */
import { coreListText } from "../system/core-list.ts";
import { doubtful, type Finding, fine, lacking, unseen } from "../system/finding.ts";
import type { HostCores } from "../system/host-cores.ts";
import { type Config, placeText } from "./config.ts";

/** One finding for each list of cores, and those that are about all of them. */
export function placementFindings(
  config: Pick<Config, "placement" | "file" | "positions" | "boards">,
  host: HostCores,
): Finding[] {
  const { placement, boards } = config;
  const findings: Finding[] = [];
  for (const key of ["cores", "emulator"] as const) {
    for (const board of ["a", "b"] as const) {
      const cores = placement[key][board];
      if (cores === undefined) continue;
      const where = `placement.${key}.${board}`;
      const isIgnored = key === "emulator" && !boards.kinds[board].includes("qemu");
      findings.push(
        fault(where, placeText(config, where), cores, host) ??
          (isIgnored
            ? ignored(where)
            : (apart(where, placeText(config, where), cores, host) ??
              doubt(where, key, cores, host, boards.cpus))),
      );
    }
  }
  findings.push(...inherited(placement.cores, host));
  if (host.online.length === 1 && findings.length === 0)
    findings.push(
      fine("placement", "one core: both boards share it, and one that boots yields to the other"),
    );
  if (boards.cpus > 1 && ![...boards.kinds.a, ...boards.kinds.b].includes("qemu"))
    findings.push(
      doubtful(
        "boards.cpus",
        "it has no effect: both boards are containers, which have no virtual processors",
        "leave it out; placement.cores tells which cores a container may use",
      ),
    );
  return findings;
}

function ignored(where: string): Finding {
  return doubtful(
    where,
    "it has no effect: this board is a container, which has no threads that emulate",
    "leave it out; placement.cores holds for all that the board runs",
  );
}

/** @param place the key with its file and position. */
function fault(where: string, place: string, cores: readonly number[], host: HostCores): Finding | undefined {
  const { present, online, allowed } = host;
  if (online.length === 0) return unseen(where, "this host does not tell its cores", "see lscpu");
  const beyond = (known: readonly number[]): string =>
    coreListText(cores.filter((core) => !known.includes(core)));
  const refused = (what: string, remedy: string): Finding =>
    lacking(where, "config-invalid", `${place}: ${what}`, remedy);
  const has = coreListText(online);
  const absent = beyond(present.length === 0 ? online : present);
  if (absent !== "") return refused(`this host has no core ${absent}`, `name others: it has ${has}`);
  const offline = beyond(online);
  if (offline !== "")
    return refused(
      `core ${offline} is offline`,
      `write 1 to /sys/devices/system/cpu/cpuN/online for each, or name others: it has ${has} online`,
    );
  const outside = beyond(allowed);
  if (outside === "") return undefined;
  return refused(
    `the daemon's own cpuset has no core ${outside}`,
    `it has ${coreListText(allowed)}: widen it (AllowedCPUs= of the unit), or name others`,
  );
}

/** An isolated core is in nobody's affinity, unless somebody put it there: whoever names one means it. */
function apart(
  where: string,
  place: string,
  cores: readonly number[],
  { isolated, own }: HostCores,
): Finding | undefined {
  const beyond = coreListText(cores.filter((core) => !own.includes(core) && !isolated.includes(core)));
  if (beyond === "") return undefined;
  return doubtful(
    where,
    `${place}: core ${beyond} is none of those that the daemon's affinity lets it use (${coreListText(own)}); the board uses it all the same`,
    "leave it if that is meant; else name others, or widen the affinity (CPUAffinity= of the unit, taskset)",
  );
}

/** Of boards without cores of their own, where the daemon may not use all that there are. */
function inherited(cores: Config["placement"]["cores"], { online, own }: HostCores): Finding[] {
  const boards = (["a", "b"] as const).filter((board) => cores[board] === undefined);
  if (boards.length === 0 || online.every((core) => own.includes(core))) return [];
  const who = boards.length === 2 ? "both boards use" : `board ${boards.join()} uses`;
  const has = `${coreListText(own)} of ${coreListText(online)}`;
  return [fine("placement.cores", `${who} what the daemon may use: ${has}, by its cpuset or its affinity`)];
}

function doubt(
  where: string,
  key: "cores" | "emulator",
  cores: readonly number[],
  { online, isolated, tickless }: HostCores,
  cpus: number,
): Finding {
  const list = coreListText(cores);
  const of = (known: readonly number[]): readonly number[] => cores.filter((core) => known.includes(core));
  const apart = of(isolated);
  // The scheduler balances nothing there: all threads would stay on the first of the cores.
  if (apart.length > 0 && cores.length > 1)
    return doubtful(
      where,
      `core ${coreListText(apart)} is isolated: the kernel does not spread threads over cores there`,
      "name one isolated core, or cores that are not isolated",
    );
  const quiet = of(tickless);
  if (key === "emulator" && quiet.length > 0)
    return doubtful(
      where,
      `core ${coreListText(quiet)} is without a timer tick (nohz_full), which is lost on threads that wait for devices`,
      "name housekeeping cores for the emulator, and this one in placement.cores",
    );
  if (key === "cores" && cpus > cores.length && online.length > cores.length)
    return doubtful(
      where,
      `${cpus} virtual processors share core ${list}`,
      "name as many cores as boards.cpus, or lower boards.cpus",
    );
  const kind = apart.length > 0 ? ", isolated" : "";
  return fine(where, `the host has ${list}${kind}`);
}
