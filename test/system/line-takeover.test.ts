/** Takeovers of a line at 3 Mbaud, 300 kB/s each way, and daemons that are killed in the middle of them. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import type { BoardName } from "../../src/board/board.ts";
import type { DaemonSettings } from "../fixtures/line/daemon.ts";
import { LineLab, Reading, serial } from "../fixtures/line/lab.ts";
import { Traffic, type TrafficResult } from "../fixtures/line/traffic.ts";
import { Peer } from "../fixtures/peer.ts";

const bytesPerSecond = 300_000;
const limitMs = 50_000;
const here = {
  name: "here",
  enter: (command: string, args: readonly string[]): [string, string[]] => [command, [...args]],
};

function requireWhole({ sent, late, ...wrong }: TrafficResult): void {
  assert.ok(sent > 100_000 && late > 10_000);
  assert.deepEqual(wrong, { lost: 0, doubled: 0, reordered: 0, leaked: 0 });
}

describe("takeovers of a line under traffic", { concurrency: 1 }, () => {
  test("nothing is lost, doubled or reordered over hundreds of them", { timeout: limitMs }, async ({
    signal,
  }) => {
    await using lab = await LineLab.make();
    const traffic = new Traffic(lab, await lab.plug(), { bytesPerSecond, holder: "a", noisy: true });
    const service = await lab.begin("a", signal);
    traffic.begin();
    for (let epoch = 1; epoch <= 300; epoch++) {
      await traffic.takeOver(async (to) => {
        // Every fifth one is taken back, after a moment in which nobody holds.
        const holder = epoch % 5 === 0 ? traffic.holder : to;
        await service.lease(to, epoch, signal);
        if (epoch % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        await service.settle(holder, epoch + 1, signal);
        return holder;
      });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    requireWhole(await traffic.end(service));
  });

  test("nothing is lost when the daemon is killed in the middle, wherever", { timeout: limitMs }, async ({
    signal,
  }) => {
    await using lab = await LineLab.make();
    const traffic = new Traffic(lab, await lab.plug(), { bytesPerSecond, holder: "a", noisy: true });
    const service = await lab.begin("a", signal);
    const settings: DaemonSettings = {
      system: lab.names.system,
      runRoot: dirname(lab.names.runDirectory),
      line: { name: "plc", bufferBytes: 65_536, outside: { ...serial, device: lab.device } },
      ports: lab.ports,
    };
    traffic.begin();
    let epoch = 1;
    for (const [step, commit] of [
      ["asked for the lease", false],
      ["leased", false],
      ["leased", true],
      ["asked to settle", true],
      ["settled", true],
      ["asked for the lease", true],
    ] as const) {
      await using daemon = new Peer(here, join(import.meta.dirname, "../fixtures/line/daemon.ts"), settings);
      await daemon.call("setUp");
      await traffic.takeOver(async (to) => {
        const from = traffic.holder;
        await interrupted(daemon, step, to, epoch);
        // The next daemon: it raises the epoch, and the network says who holds.
        epoch += 1;
        const holder: BoardName = commit ? to : from;
        const { present, epoch: seen } = await service.inspect();
        assert.ok(present && seen <= epoch);
        await service.settle(holder, epoch, signal);
        await assert.rejects(service.lease(from, epoch - 1, signal), { code: "stale-epoch" });
        return holder;
      });
    }
    requireWhole(await traffic.end(service));
  });

  test("a break comes between what the old holder and the new one send", { timeout: limitMs }, async ({
    signal,
  }) => {
    await using lab = await LineLab.make();
    const pty = await lab.plug();
    const breakMs = 300;
    const outside = { ...serial, device: lab.device, breakMs };
    const service = await lab.begin("a", signal, { outside });
    const out = new Reading();
    const arrived = new Map<string, number>();
    pty.output.on("data", (bytes: Buffer) => {
      out.push(bytes);
      arrived.set(bytes.toString(), performance.now());
    });
    await lab.boards.a.send(Buffer.from("old"));
    await out.is("old", signal);
    const before = performance.now();
    await service.lease("b", 1, signal);
    await service.settle("b", 2, signal);
    await lab.boards.b.send(Buffer.from("new"));
    await out.is("oldnew", signal);
    assert.ok((arrived.get("new") ?? 0) - before >= breakMs);
  });
});

/** Takes over up to `step`, and kills the daemon there. */
async function interrupted(daemon: Peer, step: string, to: BoardName, epoch: number): Promise<void> {
  const lease = daemon.call("lease", { to, epoch });
  lease.catch(() => undefined);
  if (step !== "asked for the lease") await lease;
  if (step.includes("settle")) {
    const settle = daemon.call("settle", { to, epoch });
    settle.catch(() => undefined);
    if (step === "settled") await settle;
  }
  await daemon.kill();
}
