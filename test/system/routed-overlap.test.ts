/** Two systems on one host whose boards would have the same addresses: the second is refused, and the first notices nothing. */
import assert from "node:assert/strict";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { systemNames } from "../../src/system/names.ts";
import type { DaemonService } from "../fixtures/daemon-service.ts";
import { addresses, type FamilyName, families, RoutedLab } from "../fixtures/routed/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(120_000);
const ports = { ipv4: 8081, ipv6: 8082 } as const;

/** A system with a service of its own, and the same or other addresses for its boards. */
async function second(
  lab: RoutedLab,
  family: FamilyName,
  links: "links" | "otherLinks",
): Promise<DaemonService> {
  const service = lab.settings.services.find(({ name }) => name === `web-${family}`);
  assert.ok(service);
  const stateDirectory = `${lab.settings.stateDirectory}/second`;
  await mkdir(stateDirectory, { recursive: true });
  return lab.daemon({
    system: `${lab.settings.system}-second`,
    links: { ipv4: addresses.ipv4[links], ...(family === "ipv6" ? { ipv6: addresses.ipv6[links] } : {}) },
    services: [{ ...service, name: "second", port: ports[family] }],
    stateDirectory,
  });
}

/** The host's end of a board's card, as the board's boot makes it. */
async function makeCard(lab: RoutedLab): Promise<string> {
  const card = systemNames(`${lab.settings.system}-second`).card("a", "service");
  await lab.onDevice("ip", ["link", "add", card, "type", "veth", "peer", "name", "second0"]);
  return card;
}

/** Routes and neighbours too, of boards' cards as well. */
async function everything(lab: RoutedLab): Promise<object> {
  // The kernel tells neighbours in an order that it may change at any time.
  const routes = "ip route; ip -6 route; ip neighbour show nud permanent | sort";
  return { ...(await lab.hostState()), links: await lab.onDevice("sh", ["-c", routes]) };
}

for (const family of families) {
  test(`${family}: a second system with the same addresses is refused before anything is changed`, {
    skip,
    signal,
  }, async () => {
    await using lab = await RoutedLab.make("twins", { families: [...new Set(["ipv4", family] as const)] });
    const first = lab.daemon();
    await first.setUp(signal);
    await first.handOver("a", signal);
    const before = await everything(lab);
    await assert.rejects((await second(lab, family, "links")).setUp(signal), {
      code: "address-in-use",
      message:
        /tb[0-9a-f]{6}-[ab]-s of .*system.* has 10\.231\.0\.1, in the boards' network .*network\.boards: /,
    });
    assert.deepEqual(await everything(lab), before);

    const other = await second(lab, family, "otherLinks");
    await makeCard(lab);
    await other.setUp(signal);
    await other.tearDown(signal);
    assert.deepEqual(await first.troubles(), []);
  });
}

test("a second system that was there first, without boards, does not take the first one's routes", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("later");
  const late = await second(lab, "ipv4", "links");
  await late.setUp(signal);
  const first = lab.daemon();
  await first.setUp(signal);
  await first.handOver("a", signal);
  await makeCard(lab);
  const before = await everything(lab);
  await assert.rejects(late.attach("a", signal), { code: "address-in-use" });
  assert.deepEqual(await everything(lab), before);
});

test("a daemon that comes back to its own addresses goes on, also where another system has them too", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("again");
  const first = lab.daemon();
  await first.setUp(signal);
  await first.handOver("a", signal);
  await first.peer.kill();
  await lab.daemon().setUp(signal);
  const card = await makeCard(lab);
  await lab.onDevice("ip", ["address", "add", "10.231.0.1/32", "dev", card]);
  const last = lab.daemon();
  await last.setUp(signal);
  await last.attach("a", signal);
  assert.equal((await last.inspect()).holder, "a");
});

/** A daemon whose looks at all addresses of the host are counted; the function tells how many there were. */
async function counted(lab: RoutedLab): Promise<{ daemon: DaemonService; looks: () => Promise<number> }> {
  const directory = join(lab.settings.stateDirectory, "programs");
  const told = join(directory, "told");
  await mkdir(directory);
  await writeFile(told, "");
  const path = process.env["PATH"] ?? "";
  // The kept one is told on its input what to look at.
  const program = `#!/bin/sh
export PATH='${path}'
case "$*" in *-batch*) tee -a '${told}' | ip "$@" ;; *) exec ip "$@" ;; esac
`;
  await writeFile(join(directory, "ip"), program);
  await chmod(join(directory, "ip"), 0o755);
  process.env["PATH"] = `${directory}${delimiter}${path}`;
  try {
    const daemon = lab.daemon();
    const looks = async () => (await readFile(told, "utf8")).split("\n").filter(isLook).length;
    return { daemon, looks };
  } finally {
    process.env["PATH"] = path;
  }
}

function isLook(words: string): boolean {
  return words === "address show";
}

test("a daemon looks before its first board gets the network's addresses, and again once it has given them back", {
  skip,
  signal,
}, async () => {
  await using lab = await RoutedLab.make("looks");
  const { daemon, looks } = await counted(lab);
  await daemon.setUp(signal);
  const before = await looks();
  assert.ok(before > 0);
  for (const board of ["a", "b", "a"] as const) await daemon.attach(board, signal);
  assert.equal(await looks(), before);
  await daemon.tearDown(signal);
  const down = await looks();
  const card = await makeCard(lab);
  await lab.onDevice("ip", ["address", "add", "10.231.0.1/32", "dev", card]);
  await assert.rejects(daemon.attach("a", signal), { code: "address-in-use" });
  assert.equal(await looks(), down + 1);
});
