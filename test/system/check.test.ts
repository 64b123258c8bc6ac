/** `twinboard check` on a device of its own, that is good, that is bad, and that is being served. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { loadElsewhere } from "../../src/service/network/host.ts";
import { features } from "../../src/service/routed/host.ts";
import { onlineCores } from "../../src/system/host-cores.ts";
import { systemNames } from "../../src/system/names.ts";
import { run } from "../../src/system/process.ts";
import { type CommandRun, runCommand, startCommand } from "../fixtures/command.ts";
import { heldByAffinity, heldByCpuset } from "../fixtures/held-process.ts";
import { link, makeNamespaces, type Namespaces } from "../fixtures/namespaces.ts";
import { makeSigningFixture } from "../fixtures/signing.ts";

const system = `test-check-${process.pid}`;
const skip = process.geteuid?.() === 0 ? false : "needs root to make network namespaces";

interface Told {
  readonly severity: string;
  readonly where: string;
  readonly what: string;
  readonly remedy: string | null;
  readonly code: string | null;
}

interface Checked {
  readonly system: string;
  readonly ok: boolean;
  readonly daemon: number | null;
  readonly findings: readonly Told[];
}

let directory: string;
let namespaces: Namespaces;

before(async () => {
  if (skip !== false) return;
  directory = await mkdtemp(join(tmpdir(), "twinboard-check-"));
  await chmod(directory, 0o755);
  await makeSigningFixture(directory);
  namespaces = await makeNamespaces("check");
});
after(async () => {
  if (skip !== false) return;
  await namespaces.remove();
  await rm(directory, { recursive: true });
  await rm(systemNames(system).runDirectory, { recursive: true, force: true });
});

async function configuration(
  name: string,
  change: (text: string) => string = (text) => text,
): Promise<string> {
  const path = join(directory, `${name}.yaml`);
  const text = `system: ${system}
compatible: test
state-directory: ${directory}/state
trust: { keyring: ca.pem }
boards: { memory: 64MiB, accelerator: tcg, watchdog: 30s }
placement: { cores: { a: [0], b: [0] } }
network: { uplink: ${link.card} }
services:
  - { name: web, protocol: tcp, address: 198.51.100.10, port: 80 }
  - { name: web6, protocol: tcp, address: "2001:db8::10", port: 8080 }
`;
  await writeFile(path, change(text));
  return path;
}

const enter = (command: string, args: readonly string[]): [string, string[]] =>
  namespaces.device.enter(command, args);
const inDevice = (...args: string[]): Promise<CommandRun> => runCommand(args, {}, enter);

async function checked(config: string): Promise<Checked & { readonly exitCode: number }> {
  const { exitCode, stdout, stderr } = await inDevice("check", "--config", config, "--json");
  assert.equal(stderr, "");
  return { exitCode, ...(JSON.parse(stdout) as Checked) };
}

/** Everything of the device that a check could have changed. */
async function device(): Promise<string> {
  const look =
    "nft list ruleset; ip -o link; ip -o address; ip route; ip -6 route; cat /proc/sys/net/ipv4/conf/*/forwarding";
  return (await run(...enter("sh", ["-c", look]))).stdout.toString();
}

/** Both ends of the link are up, and the card has its link-local address. */
async function settled(): Promise<void> {
  await until(device, (text) => /state UP[^]* inet6 fe80/.test(text));
}

/** Looks until what it sees is as it should be. Errors: it is not so within ten seconds. */
async function until(look: () => Promise<string>, right: (seen: string) => boolean): Promise<void> {
  const deadline = AbortSignal.timeout(10_000);
  for (let seen = await look(); !right(seen); seen = await look()) {
    if (deadline.aborted) throw new Error(`still not as it should be: ${seen}`);
    await sleep(50);
  }
}

test("a good device: nothing is wrong, nothing is changed, nothing is left", { skip }, async () => {
  const config = await configuration("good");
  await settled();
  const before = await device();
  const { exitCode, ok, daemon, findings } = await checked(config);
  const bad = findings.filter(({ severity }) => severity !== "ok");
  // By which way boards yield is the host's affair.
  assert.deepEqual(
    bad.filter(({ where }) => where !== "/sys/fs/cgroup"),
    [],
  );
  assert.deepEqual([exitCode, ok, daemon], [0, true, null]);
  assert.deepEqual(
    ["trust.keyring", "nftables", "conntrack", "/dev/net/tun", "boards.accelerator", "services.web6"].filter(
      (where) => !findings.some((finding) => finding.where === where),
    ),
    [],
  );
  const way = (name: string): string => findings.find(({ where }) => where === `way: ${name}`)?.what ?? "";
  assert.match(way("routed"), /^chosen; TCP, UDP .* an uplink could be up0$/);
  assert.match(way("bridged"), /^everything on Ethernet.*no bridge has a port: make one/);
  assert.match(way("two-cards"), /two cards without an address are needed/);
  assert.match(way("can"), /a CAN bus|the kernel lacks pairs of CAN cards \(CONFIG_CAN_VXCAN\)/);
  assert.equal(await device(), before);
  await assert.rejects(access(join(directory, "state")), { code: "ENOENT" });
  const { stdout } = await inDevice("check", "--config", config);
  assert.match(stdout, new RegExp(`\\n${system} can be served by this host: .*\\n$`));
});

test("a bad device: everything at once, each with its remedy; serve refuses with the same words", {
  skip,
}, async () => {
  const config = await configuration("bad", (text) =>
    text
      .replace("64MiB", "1000GiB")
      .replace("watchdog: 30s", "user: nosuchuser")
      .replace("b: [0]", "b: [0, 4000]")
      .replace(link.card, "nocard0")
      .replace("ca.pem", "gone.pem"),
  );
  const listener = `require("net").createServer().listen(80, "0.0.0.0", () => console.log("listening"))`;
  const [command, args] = enter(process.execPath, ["-e", listener]);
  const other = spawn(command, args);
  const forward =
    "add table inet wall; add chain inet wall way { type filter hook forward priority 0; policy drop; }";
  try {
    await once(other.stdout, "data");
    await run(...enter("nft", [forward]));
    await run(...enter("ip", ["address", "add", "10.231.0.4/24", "dev", link.card]));
    const { exitCode, ok, findings } = await checked(config);
    assert.deepEqual([exitCode, ok], [2, false]);
    const told = (severity: string) =>
      Object.fromEntries(
        findings
          .filter((finding) => finding.severity === severity)
          .map(({ where, what, code }) => [where, code ?? what]),
      );
    assert.deepEqual(told("error"), {
      "boards.memory": "too-little-memory",
      "boards.user": "config-invalid",
      "placement.cores.b": "config-invalid",
      "network.uplink": "missing-card",
      "services.web": "address-in-use",
    });
    const warnings = told("warning");
    assert.match(warnings["trust.keyring"] ?? "", /^no bundle can be accepted: ENOENT/);
    assert.match(
      warnings["network.boards"] ?? "",
      /^up0 has 10\.231\.0\.4, in the boards' network 10\.231\.0\.1\/29$/,
    );
    assert.match(warnings["other rules"] ?? "", /^chain way of table inet wall drops/);
    for (const { severity, remedy } of findings) assert.equal(remedy === null, severity === "ok");
    const serve = await inDevice("serve", "--config", config);
    assert.equal(serve.exitCode, 2);
    for (const { severity, what } of findings)
      if (severity === "error") assert.ok((serve.stdout + serve.stderr).includes(what), what);
  } finally {
    other.kill();
    await run(...enter("nft", ["delete table inet wall"]), { allowedExitCodes: [1] });
    await run(...enter("ip", ["address", "delete", "10.231.0.4/24", "dev", link.card]), {
      allowedExitCodes: [2],
    });
  }
});

test("cores that the daemon may not use: refused beyond its cpuset, doubtful beyond its affinity, told where none are named", {
  skip: skip || (onlineCores().length < 2 ? "needs two cores" : false),
}, async () => {
  const config = await configuration("held", (text) => text.replace("a: [0], b: [0]", "b: [1]"));
  const told = async (hold: (core: number) => Promise<AsyncDisposable | undefined>): Promise<string> => {
    await using held = await hold(0);
    if (held === undefined) return "no cpusets";
    const { findings } = await checked(config);
    const ofCores = findings.filter(({ where }) => where.startsWith("placement.cores"));
    return ofCores.map(({ severity, what, remedy }) => `${severity} ${what} → ${remedy}`).join("\n");
  };
  const byAffinity = await told(heldByAffinity);
  assert.match(
    byAffinity,
    /^warning .*\.yaml:6:\d+: placement\.cores\.b: core 1 is none of .* \(0\).* → leave it/m,
  );
  assert.match(byAffinity, /^ok board a uses what the daemon may use: 0 of /m);
  const byCpuset = await told(heldByCpuset);
  assert.match(
    byCpuset,
    /^error .*\.yaml:6:\d+: placement\.cores\.b: the daemon's own cpuset has no core 1 → .*|^no cpusets$/m,
  );
});

test("another system whose boards have the same addresses: refused, and what to write instead", {
  skip,
}, async () => {
  const card = systemNames(`${system}-other`).card("b", "service");
  await run(...enter("ip", ["link", "add", card, "type", "veth", "peer", "name", "other0"]));
  await run(...enter("ip", ["address", "add", "10.231.0.1/32", "dev", card]));
  try {
    const config = await configuration("overlap");
    const before = await device();
    const { exitCode, findings } = await checked(config);
    const found = findings.find(({ where }) => where === "network.boards");
    assert.deepEqual([exitCode, found?.severity, found?.code], [2, "error", "address-in-use"]);
    assert.ok(found?.what.includes(`${card} of another system has 10.231.0.1`), found?.what);
    assert.match(found?.remedy ?? "", /such as network\.boards: 10\.231\.1\.0\/29$/);
    const serve = await inDevice("serve", "--config", config);
    assert.equal(serve.exitCode, 2);
    assert.ok((serve.stdout + serve.stderr).includes(found?.what ?? "nothing"), serve.stderr);
    assert.equal(await device(), before);
    const apart = await checked(
      await configuration("apart", (text) => text.replace("up0", "up0, boards: 10.231.1.0/29")),
    );
    assert.equal(apart.findings.find(({ where }) => where === "network.boards")?.severity, "ok");
  } finally {
    await run(...enter("ip", ["link", "delete", card]));
  }
});

test("an uplink that is down, and IPv6 that is switched off there", { skip }, async () => {
  const config = await configuration("down");
  const { outside } = namespaces;
  await run("ip", ["-netns", outside.name, "link", "set", link.card, "down"]);
  await run(...enter("sh", ["-c", `echo 1 >/proc/sys/net/ipv6/conf/${link.card}/disable_ipv6`]));
  // The kernel tells of a card's state at most once a second (net/core/link_watch.c).
  await until(uplink, (text) => !text.includes("state UP"));
  try {
    const { findings } = await checked(config);
    const found = (where: string) => findings.find((finding) => finding.where === where);
    assert.equal(found("network.uplink")?.severity, "warning");
    assert.match(found("network.uplink")?.what ?? "", /is (lowerlayer)?down: nobody reaches the service/);
    assert.equal(found("IPv6")?.code, "no-ipv6");
  } finally {
    await run(...enter("sh", ["-c", `echo 0 >/proc/sys/net/ipv6/conf/${link.card}/disable_ipv6`]));
    await run("ip", ["-netns", outside.name, "link", "set", link.card, "up"]);
  }
});

async function uplink(): Promise<string> {
  return (await run(...enter("ip", ["link", "show", link.card]))).stdout.toString();
}

test("programs, devices and buses that are services, each by its name", { skip }, async () => {
  const config = await configuration(
    "leased",
    (text) => `${text}  - { name: relay, exec: [${directory}/relay-service] }
  - { name: log, device: { virtio-blk: /dev/no-such-disk } }
  - { name: dongle, device: { usb: 9-9 } }
  - { name: bus, can: can7 }
`,
  );
  const { findings } = await checked(config);
  const told = (where: string): string => {
    const found = findings.find((finding) => finding.where === where);
    return `${found?.severity} ${found?.code}: ${found?.what}`;
  };
  assert.match(told("services.relay"), /^error missing-program: .*relay-service is not there/);
  assert.match(told("services.log"), /^warning null: \/dev\/no-such-disk is not there: the service waits/);
  assert.match(told("services.dongle"), /^warning null: USB port 9-9 is not there/);
  assert.match(told("services.bus"), /^warning null: can7 is not there/);
  assert.match(told("CAN"), /^(ok null|error missing-(kernel-feature|program)): .*CAN/);
  assert.match(told("usb-host"), /^(ok null|error missing-program): /);
});

test("beside a daemon: what is ours is not in its own way", { skip }, async () => {
  await settled();
  const config = await configuration("served");
  const socket = join(directory, "api.sock");
  const daemon = startCommand(["serve", "--config", config, "--socket", socket], {}, enter);
  await daemon.said("notice serving");
  const before = await device();
  const { exitCode, findings, daemon: pid } = await checked(config);
  assert.equal(exitCode, 0, JSON.stringify(findings.filter(({ severity }) => severity === "error")));
  assert.ok(pid !== null && pid > 0);
  assert.equal(findings.find(({ where }) => where === "network.boards")?.severity, "ok");
  assert.equal(await device(), before);
  await inDevice("down", "--socket", socket);
  await daemon.ended;
});

test("an ordinary user is told what could not be looked at", { skip }, async (t) => {
  const config = await configuration("ordinary");
  const otherUser = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
  const readable = ["test", "-r", import.meta.filename];
  const { exitCode: unreadable } = await run("setpriv", [...otherUser, ...readable], {
    allowedExitCodes: [1],
  });
  if (unreadable !== 0) {
    t.skip("this checkout lies where an ordinary user can read nothing");
    return;
  }
  const { exitCode, stdout } = await runCommand(["check", "--config", config], {}, (command, args) =>
    enter("setpriv", [...otherUser, command, ...args]),
  );
  assert.equal(exitCode, 0, stdout);
  assert.match(stdout, /^unknown {2}user .*\n +→ run this as root\n/m);
  assert.match(stdout, /can be served by this host: .*not looked at\n$/);
});

test("what is asked for feature by feature is what a kernel can have, and a refusal has its reason", {
  skip,
}, async ({ signal }) => {
  for (const { name, chain } of features)
    assert.equal(
      await loadElsewhere(`table inet probe { chain probe { ${chain} }; }`, signal),
      "loaded",
      name,
    );
  const refused = await loadElsewhere("table inet probe { chain probe { no such rule; }; }", signal);
  assert.ok(refused !== "loaded" && refused.kind === "refused" && refused.reason.includes("syntax error"));
});

test("without a configuration, or with a bad one, there is nothing to look at", async () => {
  const none = await runCommand(["check"]);
  assert.equal(none.exitCode, 64);
  const nowhere = await runCommand(["check", "--config", "/nonexistent.yaml", "--json"]);
  assert.equal(nowhere.exitCode, 2);
  assert.equal((JSON.parse(nowhere.stdout) as { error: { code: string } }).error.code, "config-invalid");
});
