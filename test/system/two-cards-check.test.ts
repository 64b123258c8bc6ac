/** `twinboard check` for a system with two cards: on a device that fits, and on one where something is wrong. */
import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemNames } from "../../src/system/names.ts";
import { run } from "../../src/system/process.ts";
import { runCommand } from "../fixtures/command.ts";
import { ip } from "../fixtures/device-state.ts";
import { makeSigningFixture } from "../fixtures/signing.ts";
import type { SwitchLab } from "../fixtures/switch-lab.ts";
import { twoCardsLab } from "../fixtures/two-cards/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "needs root to make network namespaces";
const system = `test-cards-${process.pid}`;

interface Told {
  readonly severity: string;
  readonly where: string;
  readonly what: string;
  readonly code: string | null;
}

interface Checked extends AsyncDisposable {
  readonly lab: SwitchLab;
  /** Findings, without those that are the host's own affair. */
  of(network: string): Promise<readonly Told[]>;
}

async function device(): Promise<Checked> {
  const lab = await twoCardsLab("check");
  const directory = await mkdtemp(join(tmpdir(), "twinboard-check-"));
  await chmod(directory, 0o755);
  await makeSigningFixture(directory);
  for (const setting of ["iptables", "ip6tables"])
    await run(
      ...lab.namespaces.device.enter("sh", [
        "-c",
        `test ! -e "$0" || echo 0 >"$0"`,
        `/proc/sys/net/bridge/bridge-nf-call-${setting}`,
      ]),
    );
  return {
    lab,
    of: async (network) => {
      const config = join(directory, "twinboard.yaml");
      const text = `system: ${system}
compatible: test
state-directory: ${directory}/state
trust: { keyring: ca.pem }
boards: { memory: 64MiB, accelerator: tcg }
network: { mode: two-cards, address: 198.51.100.10/24, ${network} }
`;
      await writeFile(config, text);
      const { stdout, stderr } = await runCommand(
        ["check", "--config", config, "--json"],
        {},
        (command, args) => lab.namespaces.device.enter(command, args),
      );
      assert.equal(stderr, "");
      const { findings } = JSON.parse(stdout) as { findings: Told[] };
      return findings.filter(({ where }) => where !== "/sys/fs/cgroup" && !where.startsWith("way: "));
    },
    [Symbol.asyncDispose]: async () => {
      await lab[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
      await rm(systemNames(system).runDirectory, { recursive: true, force: true });
    },
  };
}

function told(findings: readonly Told[], severity: string): string[] {
  return findings
    .filter((one) => one.severity === severity)
    .map(({ where, what, code }) => `${where}: ${code ?? what}`);
}

test("a device with two cards has nothing in the way, and nothing is changed", { skip }, async () => {
  await using checked = await device();
  /** Link-local addresses become usable in their own time. */
  const look = async (): Promise<string> => {
    const cards = await ip(checked.lab, "-oneline", "link");
    return cards + (await ip(checked.lab, "-oneline", "address")).replaceAll(" tentative", "");
  };
  const before = await look();
  const findings = await checked.of("uplinks: { a: up0, b: up1 }, gateway: 198.51.100.1");
  assert.deepEqual(
    [told(findings, "error"), told(findings, "warning"), told(findings, "unknown")],
    [[], [], []],
  );
  const fine = told(findings, "ok").join("\n");
  assert.match(fine, /^nftables: .*loaded, elsewhere, as a trial$/m);
  assert.match(fine, /^cards: the kernel has bridges/m);
  assert.match(fine, /^cards: the kernel has pairs of cards, for a double/m);
  assert.match(fine, /^network\.uplinks\.a: up0 has no address, and is put into a bridge$/m);
  assert.match(fine, /^network\.gateway: a standby finds a double of 198\.51\.100\.1$/m);
  assert.equal(await look(), before);
});

test("cards that are missing, addressed or without a link, and an address of the host's on a bridge: all at once", {
  skip,
}, async () => {
  await using checked = await device();
  const { lab } = checked;
  await ip(lab, "address", "add", "192.0.2.7/24", "dev", "up0");
  assert.deepEqual(told(await checked.of("uplinks: { a: up0, b: up7 }"), "error"), [
    "network.uplinks.a: uplink-unfit",
    "network.uplinks.b: missing-card",
  ]);
  await ip(lab, "link", "add", "br0", "type", "bridge", "forward_delay", "0");
  await ip(lab, "address", "flush", "dev", "up0");
  await ip(lab, "link", "set", "up0", "master", "br0");
  await ip(lab, "address", "add", "192.0.2.7/24", "dev", "br0");
  await ip(lab, "link", "set", "br0", "up");
  await lab.cable("up1", "down");
  const findings = await checked.of("uplinks: { a: br0, b: up1 }");
  assert.deepEqual(told(findings, "error"), []);
  const [host, wire] = told(findings, "warning");
  assert.match(host ?? "", /^network\.uplinks\.a: the host has 192\.0\.2\.7 on br0: its own clients reach/);
  assert.match(wire ?? "", /^network\.uplinks\.b: up1 has no carrier: board b cannot take over$/);
  const taken = await checked.of(
    "uplinks: { a: br0, b: up1 }, address6: 2001:db8::10/64, mac: 02:7b:5e:00:00:33",
  );
  assert.deepEqual(told(taken, "error"), []);
  await ip(lab, "link", "set", "up1", "address", "02:7b:5e:00:00:33");
  const mac = await checked.of("uplinks: { a: br0, b: up1 }, mac: 02:7b:5e:00:00:33");
  assert.deepEqual(told(mac, "error"), ["network.address: address-in-use"]);
});

test("devices to be passed through that are not there are told, with how to look for them", {
  skip,
}, async () => {
  await using checked = await device();
  const errors = told(
    await checked.of('uplinks: { a: { pci: "0000:ff:1f.7" }, b: { pci: "0000:ff:1f.6" } }'),
    "error",
  );
  const ofCards = errors.filter((one) => one.startsWith("network.uplinks"));
  assert.deepEqual(ofCards, ["network.uplinks.a: missing-card", "network.uplinks.b: missing-card"]);
});
