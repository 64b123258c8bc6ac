/** The program that answers numbered frames where no Python is, asked by the one that benches ask with. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { etherTypes, type Frame, Wire } from "../fixtures/bridged/wire.ts";
import { link, macOf, makeNamespaces } from "../fixtures/namespaces.ts";
import { FrameAsker } from "../fixtures/traffic/frames.ts";
import { compiled } from "../fixtures/traffic/native.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const limitMs = 60_000;
/** As frames.py has them: behind its head a frame's mark, number and letter. */
const mark = Buffer.from("TBFR").toString("hex");
const warmUp = 0xffffffff;
const wanted = 50;

function numberIn({ payload }: Frame): number {
  return Number.parseInt(payload.slice(8, 16), 16);
}

test("each frame is answered once, with its number and the board's letter; others are not", {
  skip,
  timeout: limitMs,
}, async (t) => {
  await using namespaces = await makeNamespaces("frames");
  const { outside, device } = namespaces;
  const [command, args] = device.enter(await compiled("frame-echo"), ["b", link.card]);
  const echo = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"], signal: t.signal });
  const ended = once(echo, "exit").catch(() => undefined);
  const to = await macOf(device, link.card);
  const from = await macOf(outside, link.card);
  await using asker = new FrameAsker(outside, { to, everyUs: 2000 });
  await using wire = await Wire.on(outside, link.card, mark);
  await asker.start();
  await wire.until((one) => one.from === to && numberIn(one) >= wanted && numberIn(one) !== warmUp);
  const tally = await asker.stop();
  const { sent, answers, doubled, reordered, foreign } = tally;
  assert.ok(sent.length > wanted);
  assert.deepEqual(
    { answers, doubled, reordered, foreign },
    { answers: sent.length, doubled: 0, reordered: 0, foreign: 0 },
  );
  for (let number = 0; number < sent.length; number += 1) assert.ok(tally.answeredBy(number, "b"));

  await wire.heard();
  const frame = { to, from, etherType: etherTypes.experimental, vlan: null };
  await wire.say({ ...frame, payload: `${Buffer.from("NOPE").toString("hex")}00000001` });
  await wire.say({ ...frame, payload: `${mark}00000002` });
  const answer = await wire.until((one) => one.from === to);
  assert.deepEqual([answer.to, answer.payload.slice(0, 18)], [from, `${mark}0000000262`]);
  echo.kill("SIGKILL");
  await ended;
});
