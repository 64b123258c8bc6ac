/** Datagrams through the routed service: each on its own, in sessions, ranges of ports, echo requests, and what boards begin. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { BoardName } from "../../src/board/board.ts";
import type { PlannedService, StatelessService } from "../../src/service/routed/plan.ts";
import type { DrainResult } from "../../src/service/service.ts";
import type { DaemonService } from "../fixtures/daemon-service.ts";
import type { Namespace } from "../fixtures/namespaces.ts";
import { Peer } from "../fixtures/peer.ts";
import type { DatagramPeerSettings, Question } from "../fixtures/routed/datagram-peer.ts";
import { addresses, type FamilyName, families, RoutedLab } from "../fixtures/routed/lab.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(200_000);

const second = { ipv4: "198.51.100.11", ipv6: "2001:db8::11" } as const;
const program = join(import.meta.dirname, "../fixtures/routed/datagram-peer.ts");

interface Datagrams extends AsyncDisposable {
  readonly lab: RoutedLab;
  readonly daemon: DaemonService;
  readonly boards: Readonly<Record<BoardName, Peer>>;
  readonly outside: Peer;
}

function services(family: FamilyName): { services: PlannedService[]; stateless: StatelessService[] } {
  const address = addresses[family].service;
  const tracked = { protocol: "udp", address, drainMs: 10_000, quietMs: 600_000 } as const;
  return {
    services: [
      { ...tracked, name: "session", port: 443, insidePort: 8443 },
      { ...tracked, name: "range", port: 10_000, lastPort: 10_002 },
      { ...tracked, name: "brief", port: 5060, quietMs: 400 },
    ],
    stateless: [
      { name: "plain", protocol: "udp", address, port: 9000, drainMs: 50 },
      { name: "other", protocol: "udp", address: second[family], port: 53, insidePort: 5353, drainMs: 50 },
      { name: "many", protocol: "udp", address, port: 11_000, lastPort: 11_002, drainMs: 50 },
      { name: "ping", protocol: "icmp", address, drainMs: 50 },
    ],
  };
}

function peer(namespace: Namespace, settings: DatagramPeerSettings): Peer {
  return new Peer(namespace, program, settings);
}

async function make(family: FamilyName, changes: { masquerade?: boolean } = {}): Promise<Datagrams> {
  const lab = await RoutedLab.make("datagrams", { families: [family] });
  const daemon = lab.daemon({ ...services(family), ...changes });
  const ports = [8443, 10_000, 10_001, 10_002, 10_003, 5060, 9000, 5353, 11_002];
  const boards = {
    a: peer(lab.boards.a.namespace, { name: "a", ports }),
    b: peer(lab.boards.b.namespace, { name: "b", ports }),
  };
  const outside = peer(lab.namespaces.outside, { name: "outside", ports: [7000] });
  for (const one of [boards.a, boards.b, outside]) await one.call("listening");
  const dispose = async (): Promise<void> => {
    for (const one of [boards.a, boards.b, outside]) await one.kill();
    await lab[Symbol.asyncDispose]();
  };
  return { lab, daemon, boards, outside, [Symbol.asyncDispose]: dispose };
}

for (const family of families) {
  const { service, outside: outsideAddress } = addresses[family];
  const options = { skip, signal };
  const tracked = async (lab: RoutedLab): Promise<string> =>
    await lab.onDevice("conntrack", ["-L", "-f", family, "-p", "udp"]);

  test(
    `${family}: each datagram reaches the holder of its instant, and is answered from the service's own end`,
    options,
    async () => {
      await using made = await make(family);
      const { lab, daemon, outside, boards } = made;
      await daemon.setUp(signal);
      const ask = async (socket: string, host: string, port: number): Promise<string> =>
        await outside.call("ask", { socket, host, port, timeoutMs: 500 } satisfies Question);
      assert.equal(
        await ask("early", service, 9000),
        "timeout",
        "nobody holds, and the host answers for nobody",
      );
      for (const holder of ["a", "b", "a"] as const) {
        await daemon.handOver(holder, signal);
        assert.equal(await ask("one", service, 9000), `${holder} 9000 from ${service} 9000`);
        assert.equal(await ask("two", second[family], 53), `${holder} 5353 from ${second[family]} 53`);
        assert.equal(await ask("three", service, 11_002), `${holder} 11002 from ${service} 11002`);
      }
      assert.equal(await tracked(lab), "", "none of it is tracked");
      // the host's own clients
      await using own = peer(lab.namespaces.device, { name: "own", ports: [] });
      for (const holder of ["b", "a"] as const) {
        await daemon.handOver(holder, signal);
        const question = { socket: "own", host: second[family], port: 53 };
        assert.equal(await own.call("ask", question), `${holder} 5353 from ${second[family]} 53`);
      }
      // a fenced board says nothing, and hears nothing
      await daemon.drain("b", { sinceMs: Date.now() }, signal);
      await daemon.fence("b");
      const heard = await boards.b.call("heard");
      const fromService = await lab.countFrom(service, 7001);
      await boards.b.call("send", { from: 9000, host: outsideAddress, port: 7001 });
      await boards.a.call("send", { from: 9000, host: outsideAddress, port: 7001 });
      assert.equal(await ask("one", service, 9000), `a 9000 from ${service} 9000`);
      assert.equal(await boards.b.call("heard"), heard);
      assert.equal(await fromService(), 1, "of the holder alone");
    },
  );

  test(
    `${family}: a session stays with its board until its deadline, its quiet, or its end`,
    options,
    async () => {
      await using made = await make(family);
      const { daemon, outside } = made;
      await daemon.setUp(signal);
      await daemon.handOver("a", signal);
      const ask = async (socket: string, port: number): Promise<string> =>
        (await outside.call<string>("ask", { socket, host: service, port })).replace(
          ` from ${service} ${port}`,
          "",
        );
      assert.equal(await ask("session", 443), "a 8443");
      assert.equal(await ask("range", 10_001), "a 10001");
      assert.equal(await ask("brief", 5060), "a 5060");
      assert.notEqual(await ask("outside the range", 10_003), "a 10003");
      await daemon.handOver("b", signal);
      assert.equal(await ask("session", 443), "a 8443", "it goes on");
      assert.equal(await ask("new", 443), "b 8443", "a new one begins with the holder");
      const sinceMs = Date.now() - 8000;
      const { services: counts, ...all } = await daemon.drain("a", { sinceMs }, signal);
      assert.deepEqual(counts, {
        session: { left: 0, finished: 0, closedEarly: 0, cut: 1 },
        range: { left: 0, finished: 0, closedEarly: 0, cut: 1 },
        brief: { left: 0, finished: 0, closedEarly: 1, cut: 0 },
      });
      assert.equal(all.cut, 2);
      await daemon.fence("a");
      assert.equal(await ask("session", 443), "b 8443", "the same socket, the other board");
      assert.equal(await ask("range", 10_001), "b 10001");
      assert.equal(await ask("brief", 5060), "b 5060");
    },
  );

  test(
    `${family}: sessions of a board that failed move at once, whoever numbered them`,
    options,
    async () => {
      await using made = await make(family);
      const { lab, daemon, outside } = made;
      await daemon.setUp(signal);
      await daemon.handOver("a", signal);
      const question = { socket: "session", host: service, port: 443 };
      assert.match(await outside.call<string>("ask", question), /^a /);
      await daemon.peer.kill();
      // the configuration was changed: the service has another number now
      const { services: planned, stateless } = services(family);
      const changed = lab.daemon({ services: planned.toReversed(), stateless });
      await changed.setUp(signal);
      await changed.handOver("b", signal);
      const drained: DrainResult = await changed.drain("a", { sinceMs: Date.now(), atOnce: true }, signal);
      assert.equal(drained.cut, 1);
      assert.match(await outside.call<string>("ask", question), /^b /);
    },
  );

  test(
    `${family}: echo requests to the service's address are answered by the board that holds`,
    options,
    async () => {
      await using made = await make(family);
      const { lab, daemon } = made;
      await daemon.setUp(signal);
      const echoes = async (board: BoardName): Promise<number> => {
        const text = await lab.inBoard(board, "cat", ["/proc/net/snmp", "/proc/net/snmp6"]);
        const found =
          family === "ipv4"
            ? /IcmpMsg: InType8 .*\nIcmpMsg: (\d+)/.exec(text)
            : /Icmp6InEchos\s+(\d+)/.exec(text);
        return Number(found?.[1] ?? 0);
      };
      const ping = async (from: "outside" | "onDevice"): Promise<boolean> =>
        await lab[from]("ping", ["-c", "1", "-W", "1", service]).then(
          (text) => text.includes(`from ${service}`),
          () => false,
        );
      assert.equal(await ping("outside"), false, "nobody holds");
      for (const holder of ["a", "b", "a"] as const) {
        await daemon.handOver(holder, signal);
        const before = await echoes(holder);
        assert.equal(await ping("outside"), true);
        assert.equal((await echoes(holder)) - before, 1);
      }
      assert.equal(await ping("onDevice"), true, "the host's own");
    },
  );

  test(`${family}: without masquerading what a board begins has its own address`, options, async () => {
    for (const masquerade of [true, false]) {
      await using made = await make(family, { masquerade });
      const { lab, daemon, boards } = made;
      await daemon.setUp(signal);
      await daemon.handOver("a", signal);
      const { links, device, boardsPrefix } = addresses[family];
      await lab.outside("ip", ["route", "add", boardsPrefix, "via", device]);
      const from = masquerade ? device : links.a;
      const arrivals = await lab.countFrom(from, 7000);
      const question = { socket: "begun", host: outsideAddress, port: 7000 };
      assert.equal(await boards.a.call("ask", question), `outside 7000 from ${outsideAddress} 7000`);
      assert.equal(await arrivals(), 1);
      assert.equal(
        await boards.b.call("ask", { ...question, timeoutMs: 300 }),
        "timeout",
        "the standby begins nothing",
      );
    }
  });

  test(`${family}: a program of the host in a service's range of ports is named`, options, async () => {
    await using made = await make(family);
    const { lab, daemon } = made;
    await using other = peer(lab.namespaces.device, { name: "other", ports: [10_001] });
    await other.call("listening");
    await assert.rejects(daemon.setUp(signal), {
      code: "address-in-use",
      message: /UDP port 10001 of \S+, one of the ports 10000-10002 of service range/,
    });
  });
}
