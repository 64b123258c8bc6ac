/** Bridges that are not as simple as others: one that speaks STP, and one whose frames pass the host's rules for IP. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../src/system/process.ts";
import { hasSetting } from "../../src/system/sysctl.ts";
import { bridge, bridgedLab } from "../fixtures/bridged/lab.ts";
import { printed } from "../fixtures/namespaces.ts";
import { serviceAddresses } from "../fixtures/switch-lab.ts";
import { DatagramTraffic } from "../fixtures/traffic/traffic.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(100_000);
const port = 7000;

test("a bridge that speaks STP lets a new port wait: so does the takeover, and then all is well at once", {
  skip,
  signal,
}, async () => {
  await using lab = await bridgedLab("stp");
  const on = async (...words: string[]): Promise<string> => await printed(lab.namespaces.device, "ip", words);
  // The shortest delay that there is (IEEE 802.1D): four seconds until a port forwards. The uplink has been through it first.
  await on("link", "set", bridge, "type", "bridge", "forward_delay", "200", "stp_state", "1");
  const stateOf = async (card: string): Promise<string> =>
    /"state":"([a-z]+)"/.exec(
      await printed(lab.namespaces.device, "bridge", ["-json", "-details", "link", "show", "dev", card]),
    )?.[1] ?? "";
  for (const deadline = performance.now() + 20_000; (await stateOf("up0")) !== "forwarding"; )
    assert.ok(performance.now() < deadline, "the uplink forwards");
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  const card = lab.names.card("a", "service");
  assert.match(await stateOf(card), /^(listening|learning)$/);
  await daemon.prepare("a", signal);
  assert.equal(await stateOf(card), "forwarding");
  await daemon.handOver("a", signal);
  await printed(lab.namespaces.outside, "ping", ["-c", "1", "-W", "2", serviceAddresses.ipv4]);
});

test("where bridged frames pass a firewall of the host's, it keeps its say and a takeover loses nothing", {
  skip,
  signal,
}, async (t) => {
  const setting = "net/bridge/bridge-nf-call-iptables";
  if (!(await hasSetting(setting))) return t.skip("this kernel has no br_netfilter");
  await using lab = await bridgedLab("wall", { lingerMs: 250 });
  const { device, outside } = lab.namespaces;
  await printed(device, "sh", ["-c", `echo 1 >/proc/sys/${setting}`]);
  const chain =
    "{ type filter hook forward priority 0; policy drop; ct state established,related accept; ct state invalid drop;";
  await printed(device, "nft", [`table inet wall { chain way ${chain} udp dport ${port} accept; }; }`]);
  const daemon = lab.daemon();
  await daemon.setUp(signal);
  await daemon.handOver("a", signal);
  await using traffic = await DatagramTraffic.make(outside, lab.boards, {
    host: serviceAddresses.ipv4,
    port,
    everyUs: 1000,
    capacity: 100_000,
    urgent: true,
  });
  await traffic.start();
  const takeovers = await daemon.takeovers({ count: 6, everyMs: 400, afterwards: "fence" }, signal);
  const { lost, doubled, heardBy } = await traffic.stop({
    holder: "a",
    takeovers,
    windowHalfMs: 1,
    underwayMs: 100,
  });
  assert.deepEqual({ lost, doubled }, { lost: 0, doubled: 0 });
  assert.ok(heardBy.a > 0 && heardBy.b > 0);
  const ping = outside.enter("ping", ["-c", "1", "-W", "1", serviceAddresses.ipv4]);
  assert.equal(
    (await run(...ping, { allowedExitCodes: [1] })).exitCode,
    1,
    "what the firewall drops stays outside",
  );
});
