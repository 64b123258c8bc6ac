/** Real machines with the demo's software on a routed service: what a board that was dormant finds when it wakes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BoardName } from "../../src/board/board.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { MachinesLab } from "../fixtures/machines/lab.ts";
import { printed } from "../fixtures/namespaces.ts";
import { addresses } from "../fixtures/routed/lab.ts";

const skip = await whyNoMachines();
const links = addresses.ipv4.links;
const clockOf = join(import.meta.dirname, "../fixtures/machines/clock-of.py");
const admittedMs = 10;
/** So exactly it is told how far a clock is off, on however busy a host. */
const widthMs = 8;

/** Of a board that holds, as its kernel tells the host: the least and the most that it is ahead. */
async function ahead(lab: MachinesLab, board: BoardName): Promise<{ leastMs: number; mostMs: number }> {
  const said = await printed(lab.namespaces.device, "python3", [clockOf, links[board], String(widthMs), "9"]);
  const [leastMs = Number.NaN, mostMs = Number.NaN] = said.split(" ").map(Number);
  return { leastMs, mostMs };
}

/** Whether it may be that the clock is right: within 10 ms, and the half millisecond that the host's own clock is told to. */
function mayBeRight({ leastMs, mostMs }: { leastMs: number; mostMs: number }): boolean {
  return leastMs <= admittedMs + 0.5 && mostMs >= -admittedMs - 0.5;
}

test("a board's clock is right when it is given the service: after its boot, and after it was dormant", {
  skip,
}, async (t) => {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(200_000)]);
  await using lab = await MachinesLab.open(signal, (line) => t.diagnostic(line));
  const booted = await ahead(lab, "a");
  t.diagnostic(`after its boot ${JSON.stringify(booted)}`);
  assert.ok(mayBeRight(booted), JSON.stringify(booted));
  await sleep(3000, undefined, { signal });
  const { clock } = await lab.wake("b", signal);
  const woken = await ahead(lab, "b");
  t.diagnostic(`after 3 s of dormancy ${JSON.stringify({ ...woken, clock })}`);
  assert.equal(clock?.by, "program");
  assert.ok(mayBeRight(woken), JSON.stringify(woken));

  // The clock's program dies: the kit starts another.
  const again =
    "first=$(pidof twinboard-clock); kill -9 $first; until pidof twinboard-clock >/dev/null; do sleep 0.1; done";
  // The kit's shell tells the console of the death as well.
  assert.match(await lab.inBoard("b", `${again}; echo again`, signal), /again$/);
  await lab.wake("a", signal);
  await lab.layToSleep("b", signal);
  await sleep(1500, undefined, { signal });
  assert.equal((await lab.wake("b", signal)).clock?.by, "program");
  const later = await ahead(lab, "b");
  assert.ok(mayBeRight(later), JSON.stringify(later));
});

test("nothing that was sent to a board while it was dormant is there when it wakes", {
  skip,
}, async (t) => {
  const signal = AbortSignal.any([t.signal, AbortSignal.timeout(200_000)]);
  await using lab = await MachinesLab.open(signal, (line) => t.diagnostic(line));
  await lab.resume("b", signal);
  const heard = async (): Promise<string> =>
    // Frames of every kind, by the guest's own account: card and count.
    await lab.inBoard(
      "b",
      "sed -n 's/^ *\\(eth[0-9]*\\): *[0-9]* *\\([0-9]*\\) .*/\\1 \\2/p' /proc/net/dev",
      signal,
    );
  await lab.layToSleep("b", signal);
  await lab.resume("b", signal);
  const before = await heard();
  assert.match(before, /^eth0 \d+\s+eth1 \d+$/);
  await lab.layToSleep("b", signal);
  const [mgmt, service] = (["mgmt", "service"] as const).map((role) => lab.names.card("b", role));
  const count = 2000;
  const say = `
import socket, sys
count = ${count}
def many(send):
    sent = 0
    for number in range(count):
        try:
            send(b"stale %d" % number)
            sent += 1
        except OSError:
            pass
    return sent
four = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
there = ("${lab.names.linkLocal("b", "mgmt")}", 9999, 0, socket.if_nametoindex("${mgmt}"))
print("service", many(lambda text: four.sendto(text, ("${links.b}", 9999))))
print("mgmt", many(lambda text: six.sendto(text, there)))
for card in "${mgmt}", "${service}":
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((card, 0))
    print(card, many(lambda text: raw.send(b"\\xff" * 6 + b"\\x02\\0\\0\\0\\0\\1" + b"\\x88\\xb5" + text.ljust(46))))
`;
  const said = await printed(lab.namespaces.device, "python3", ["-c", say]);
  // What goes by IP to the service card of a fenced board the fence refuses; all else the card itself takes, and drops.
  assert.deepEqual(said.trim().split("\n"), [
    "service 0",
    `mgmt ${count}`,
    `${mgmt} ${count}`,
    `${service} ${count}`,
  ]);
  await lab.resume("b", signal);
  assert.equal(await heard(), before);
  // It is not deaf: what is sent to it from now on it hears.
  await lab.wake("b", signal);
  const now = await heard();
  assert.notEqual(now, before);
  t.diagnostic(`${before.replaceAll(/\s+/g, " ")}, then ${now.replaceAll(/\s+/g, " ")}`);
});
