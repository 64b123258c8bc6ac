/** The kit's programs of a board that has its card for itself, run by this machine's sh in a network namespace that ends with the test. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../src/system/process.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const mac = "02:7b:5e:00:00:10";
const cmdline = [
  "quiet",
  `twinboard.service=${mac}`,
  "twinboard.wire=own",
  "twinboard.address4=198.51.100.10/24",
  "twinboard.gateway4=198.51.100.1",
  "twinboard.address6=2001:db8::10/64",
  "twinboard.gateway6=2001:db8::1",
].join(" ");

/** What the steps print, each after its name: run one after the other by one shell, with card c0 whose other end is o0. */
async function inNamespace(steps: readonly string[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "kit-card-"));
  try {
    await writeFile(join(directory, "cmdline"), `${cmdline}\n`);
    const script = [
      "set -e",
      "mount -t sysfs none /sys",
      "ip link add c0 type veth peer name o0",
      "ip link set o0 up",
      ...steps,
    ].join("\n");
    const env = {
      TWINBOARD_CMDLINE: join(directory, "cmdline"),
      TWINBOARD_CARD: "c0",
      KIT: import.meta.dirname,
    };
    const { stdout } = await run("unshare", ["--net", "--mount", "sh", "-c", script], { env });
    return stdout.toString();
  } finally {
    await rm(directory, { recursive: true });
  }
}

const network = "sh $KIT/twinboard-network";
const show = "ip -oneline address show dev c0; ip route; ip -6 route show default";

test("a card of the board's own has the service's MAC address, is up, and has nothing that could speak", {
  skip,
}, async () => {
  const told = await inNamespace([network, "ip -oneline link show dev c0", show]);
  assert.match(told, new RegExp(`UP,LOWER_UP.*link/ether ${mac}`));
  assert.doesNotMatch(told, /inet|default via/);
});

test("activated it has addresses and routes, at once; deactivated nothing again; both may be repeated", {
  skip,
}, async () => {
  const up = "sh $KIT/twinboard-card up";
  const down = "sh $KIT/twinboard-card down";
  const told = await inNamespace([network, up, up, show, "echo ---", down, down, show, "echo ---", up, show]);
  const [active = "", silent = "", again = ""] = told.split("---");
  for (const one of [active, again]) {
    assert.match(one, /inet 198\.51\.100\.10\/24/);
    assert.match(one, /inet6 2001:db8::10\/64 scope global/);
    assert.doesNotMatch(one, /tentative/);
    assert.match(one, /default via 198\.51\.100\.1 dev c0/);
    assert.match(one, /default via 2001:db8::1 dev c0/);
  }
  assert.doesNotMatch(silent, /inet|default/);
});

test("what it is not asked for it says, with how to", { skip }, async () => {
  const told = await inNamespace([network, "sh $KIT/twinboard-card 2>&1 || echo $?"]);
  assert.match(told, /usage: twinboard-card up\|down\n64/);
});
