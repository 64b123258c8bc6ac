/** `twinboard check` for a bridged system: on a device that fits, and on one where everything is a little wrong. */
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, test } from "node:test";
import { features } from "../../src/service/bridged/host.ts";
import { loadElsewhere } from "../../src/service/network/host.ts";
import { systemNames } from "../../src/system/names.ts";
import { run } from "../../src/system/process.ts";
import { runCommand } from "../fixtures/command.ts";
import { link, makeNamespaces, type Namespaces } from "../fixtures/namespaces.ts";
import { makeSigningFixture } from "../fixtures/signing.ts";

const skip = process.geteuid?.() === 0 ? false : "needs root to make network namespaces";
const system = `test-bridge-${process.pid}`;
const names = systemNames(system);

interface Told {
  readonly severity: string;
  readonly where: string;
  readonly what: string;
  readonly remedy: string | null;
  readonly code: string | null;
}

let directory: string;
let namespaces: Namespaces;

before(async () => {
  if (skip !== false) return;
  directory = await mkdtemp(join(tmpdir(), "twinboard-check-"));
  await chmod(directory, 0o755);
  await makeSigningFixture(directory);
  namespaces = await makeNamespaces("bridge");
  await ip("address", "flush", "dev", link.card);
  await ip("link", "add", "br0", "type", "bridge");
  await ip("link", "set", link.card, "master", "br0");
  await ip("link", "set", "br0", "up");
  for (const setting of ["iptables", "ip6tables"])
    await inDevice(
      "sh",
      "-c",
      `test ! -e "$0" || echo 0 >"$0"`,
      `/proc/sys/net/bridge/bridge-nf-call-${setting}`,
    );
});
after(async () => {
  if (skip !== false) return;
  await namespaces.remove();
  await rm(directory, { recursive: true });
  await rm(names.runDirectory, { recursive: true, force: true });
});

async function inDevice(command: string, ...args: string[]): Promise<string> {
  return (await run(...namespaces.device.enter(command, args))).stdout.toString();
}

async function ip(...words: string[]): Promise<string> {
  return await inDevice("ip", ...words);
}

async function checked(
  network: string,
  env: Readonly<Record<string, string>> = {},
): Promise<readonly Told[]> {
  const config = join(directory, "twinboard.yaml");
  await writeFile(
    config,
    `system: ${system}
compatible: test
state-directory: ${directory}/state
trust: { keyring: ca.pem }
boards: { memory: 64MiB, accelerator: tcg }
network: { mode: bridged, ${network} }
`,
  );
  const { stdout, stderr } = await runCommand(["check", "--config", config, "--json"], env, (command, args) =>
    namespaces.device.enter(command, args),
  );
  assert.equal(stderr, "");
  return (JSON.parse(stdout) as { findings: Told[] }).findings;
}

function of(findings: readonly Told[], severity: string): Record<string, string[]> {
  const told: Record<string, string[]> = {};
  // By which way boards yield is the host's affair.
  for (const { where, what, code, ...finding } of findings)
    if (finding.severity === severity && where !== "/sys/fs/cgroup") (told[where] ??= []).push(code ?? what);
  return told;
}

test("a device with a bridge that leads outside has nothing in the way, and nothing is changed", {
  skip,
}, async () => {
  const look = "nft list ruleset; ip -o link; ip -4 -o address; ip route; bridge vlan; sysctl net.bridge";
  /** Cards come up, and get link-local addresses, in their own time. */
  const device = async (): Promise<string> =>
    (await inDevice("sh", "-c", look)).replaceAll(/ state \S+|NO-CARRIER,|,LOWER_UP/g, "");
  const before = await device();
  const findings = await checked("uplink: br0, address: 198.51.100.10/24");
  assert.deepEqual({ ...of(findings, "error"), ...of(findings, "warning"), ...of(findings, "unknown") }, {});
  const { nftables, ...fine } = of(findings, "ok");
  assert.match(nftables?.[0] ?? "", /loaded, elsewhere, as a trial/);
  assert.match(fine["network.uplink"]?.[0] ?? "", /^br0 is a bridge, and leads outside$/);
  assert.match(
    fine["network.mac"]?.[0] ?? "",
    new RegExp(`${names.sharedMac}, which follows from the system's name: `),
  );
  assert.equal(await device(), before);
});

/** The one error, and what to do about it. */
async function errorOf(network: string): Promise<[string | null, string]> {
  const [error, ...others] = (await checked(network)).filter(({ severity }) => severity === "error");
  assert.ok(error !== undefined && others.length === 0, JSON.stringify(others));
  return [error.code, `${error.what} -> ${error.remedy}`];
}

test("an uplink that is missing, that is no bridge, and that cannot filter: each with what to do", {
  skip,
}, async () => {
  const [missing, name] = await errorOf("uplink: br7");
  assert.deepEqual([missing, name.endsWith("name a bridge that exists: br0")], ["missing-card", true]);
  const [port, bridge] = await errorOf(`uplink: ${link.card}`);
  assert.deepEqual(
    [port, /no bridge but a port of one: name that, br0 ->/.test(bridge)],
    ["uplink-unfit", true],
  );
  const [filter, remedy] = await errorOf("uplink: br0, vlan: 7");
  assert.deepEqual([filter, /br0 type bridge vlan_filtering 1/.test(remedy)], ["uplink-unfit", true]);
});

test("an address and a MAC address that others have, rules in the way, a bridge that leads nowhere: all at once", {
  skip,
}, async () => {
  const mac = "02:7b:5e:00:00:10";
  const wall = "{ type filter hook forward priority 0; policy drop; }";
  await ip("address", "add", "198.51.100.2/24", "dev", "br0");
  await inDevice(
    "nft",
    `add table bridge wall; add chain bridge wall way ${wall}; add table ip wall; add chain ip wall way ${wall}`,
  );
  const other = ["lladdr", "02:00:00:00:00:77", "dev", "br0", "nud", "reachable"];
  await ip("neighbour", "add", "198.51.100.10", ...other);
  await inDevice("bridge", "fdb", "add", mac, "dev", link.card, "master", "dynamic");
  try {
    const findings = await checked(`uplink: br0, mac: "${mac}", address: 198.51.100.10/24`);
    assert.deepEqual(of(findings, "error"), {});
    const warnings = of(findings, "warning");
    assert.match(
      warnings["network.mac"]?.[0] ?? "",
      /^br0 knows the MAC address 02:7b:5e:00:00:10 behind up0/,
    );
    assert.match(
      warnings["network.address"]?.[0] ?? "",
      /^the host knows 198\.51\.100\.10 as 02:00:00:00:00:77/,
    );
    assert.match(warnings["other rules"]?.[0] ?? "", /^chain way of table bridge wall drops/);
    assert.equal(warnings["other rules"]?.length, 1, "bridged frames pass no rules for IP here");
    const taken = await checked("uplink: br0, address: 198.51.100.2/24");
    assert.deepEqual(of(taken, "error"), { "network.address": ["address-in-use"] });
    await ip("link", "set", "br0", "type", "bridge", "nf_call_iptables", "1");
    await ip("link", "set", link.card, "nomaster");
    await ip("link", "set", "br0", "mtu", "1400");
    const worse = of(await checked("uplink: br0, address: 198.51.100.10/24"), "warning");
    assert.equal(worse["other rules"]?.length, 2);
    assert.match(
      worse["br0 nf_call_iptables"]?.[0] ?? "",
      /^bridged frames pass the host's rules for IP too/,
    );
    assert.match(
      worse["network.uplink"]?.join() ?? "",
      /no other port of br0 has a link.*takes frames of 1400 bytes/,
    );
  } finally {
    await inDevice("nft", "delete table bridge wall; delete table ip wall");
  }
});

test("a kernel without tables for bridges is told by the option that it lacks", { skip }, async ({
  signal,
}) => {
  for (const { name, family = "inet", chain } of features)
    assert.equal(
      await loadElsewhere(`table ${family} probe { chain probe { ${chain} }; }`, signal),
      "loaded",
      name,
    );
  // What such a kernel refuses, this nft refuses.
  const bin = join(directory, "bin");
  await mkdir(bin);
  const real = (await run("sh", ["-c", "command -v nft"])).stdout.toString().trim();
  await symlink(real, join(bin, "real-nft"));
  const script = `#!/bin/sh
if [ "$1" = -f ] && grep -q 'table bridge' "$2"; then echo 'Error: Could not process rule: Operation not supported' >&2; exit 1; fi
exec ${bin}/real-nft "$@"
`;
  await writeFile(join(bin, "nft"), script, { mode: 0o755 });
  const findings = await checked("uplink: br0, address: 198.51.100.10/24", {
    PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}`,
  });
  const lacks = findings.find(({ where }) => where === "nftables");
  assert.equal(lacks?.code, "missing-kernel-feature");
  assert.match(lacks.what, /tables of bridges \(CONFIG_NF_TABLES_BRIDGE\): .*Operation not supported/);
  assert.doesNotMatch(lacks.what, /NF_TABLES_INET/);
});
