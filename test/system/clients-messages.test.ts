/** Clients of connections that stay through a takeover: WebSocket, server-sent events, pipelining, MQTT. docs/clients.md tells what is shown here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EventsSeen, SocketSeen } from "../fixtures/clients/event-clients.ts";
import { ClientLab } from "../fixtures/clients/lab.ts";
import { Broker, Publisher, publishFrom, subscribe, subscribed } from "../fixtures/clients/mqtt.ts";
import { missing, version } from "../fixtures/clients/programs.ts";
import type { Peer } from "../fixtures/peer.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(120_000);

/** Pauses shorter and longer than the lab's X. */
const oftenMs = 100;
const seldomMs = 2000;

/** WebSockets by what is said over them. */
const sockets = {
  idle: { path: "/socket" },
  often: { path: "/socket", everyMs: oftenMs },
  seldom: { path: "/socket", everyMs: seldomMs },
  "told often": { path: `/socket?everyMs=${oftenMs}` },
  unanswered: { path: "/socket?silent=yes", everyMs: seldomMs },
};

/** Server-sent events, by their pauses. */
const streams = { often: oftenMs, seldom: seldomMs };

test("WebSocket, server-sent events and pipelining through a takeover", { skip, signal }, async (t) => {
  await using lab = await ClientLab.make("stay", signal);
  const clients = lab.eventClients();
  await beginAll(lab, clients);
  const drain = await lab.takeOver(signal);
  t.diagnostic(JSON.stringify(drain.services["early-http"]));
  const kept = [...(await lab.messages("a")), ...(await lab.messages("b"))];

  for (const [name, { path }] of Object.entries(sockets)) {
    const { closes, boards, acknowledged, sent } = await clients.call<SocketSeen>("conversation", name);
    await t.test(`WebSocket, ${name}`, async () => {
      assert.deepEqual(
        { closes, boards },
        { closes: [1006], boards: ["a", "b"] },
        "closed once, and connected again",
      );
      const keptNow = new Set([...kept, ...(await lab.messages("b"))]);
      const lost = acknowledged.filter((message) => !keptNow.has(message));
      assert.deepEqual(lost, [], "no message that was acknowledged is lost");
      const answered = !path.includes("silent");
      assert.equal(acknowledged.length > 0, answered && sent > 0);
    });
  }
  await t.test("a WebSocket whose last message was not answered waits for the deadline", () => {
    assert.ok((drain.services["early-http"]?.cut ?? 0) >= 1);
  });
  for (const name of Object.keys(streams)) {
    await t.test(`EventSource, ${name}`, async () => {
      const { errors, ids, boards } = await clients.call<EventsSeen>("heard", name);
      assert.deepEqual(
        { errors, boards },
        { errors: 1, boards: ["a", "b"] },
        "one error event, and connected again",
      );
      assert.deepEqual(
        ids,
        ids.map((_, index) => index + 1),
        "no event is lost where the board goes on after Last-Event-ID",
      );
    });
  }
  await t.test("pipelining: the second answer is lost if it comes later than X after the first", async () => {
    assert.equal(await clients.call("pipelined", "early"), "1 of 2 answered, then ECONNRESET");
    assert.equal(await clients.call("pipelined", "late"), "2 of 2 answered", "X is longer");
  });
});

async function beginAll(lab: ClientLab, clients: Peer): Promise<void> {
  const origin = lab.origin("early", "http");
  for (const [name, { path, ...order }] of Object.entries(sockets))
    await clients.call("converse", { name, url: origin.replace("http:", "ws:") + path, ...order });
  for (const [name, everyMs] of Object.entries(streams))
    await clients.call("listen", { name, url: `${origin}/events?everyMs=${everyMs}` });
  // The second answer waits: for ever where X is short, and until the first flow was closed where it is long.
  for (const [when, until] of [
    ["early", "late"],
    ["late", "early"],
  ] as const) {
    const order = { name: when, host: lab.address, port: lab.port(when, "http") };
    await clients.call("pipeline", { ...order, paths: ["/", `/held?until=${until}`] });
  }
}

const noMosquitto = await missing("mosquitto", "mosquitto_pub");

test("MQTT through a takeover", { skip: skip || noMosquitto, signal }, async (t) => {
  t.diagnostic(`${await version("mosquitto_pub")}`);
  await using lab = await ClientLab.make("mqtt", signal);
  const brokers = { a: await Broker.start(lab, "a"), b: await Broker.start(lab, "b") };
  const [idle, told] = [
    await subscribe(lab, "early", "down/idle"),
    await subscribe(lab, "early", "down/told"),
  ];
  const acknowledged = {
    often: await Publisher.start(lab, { name: "often", when: "early", qos: 1, everyMs: oftenMs }),
    seldom: await Publisher.start(lab, { name: "seldom", when: "early", qos: 1, everyMs: seldomMs }),
    cut: await Publisher.start(lab, { name: "cut", when: "late", qos: 1, everyMs: oftenMs }),
  };
  const careless = await Publisher.start(lab, { name: "careless", when: "early", qos: 0, everyMs: seldomMs });
  await publishFrom(lab, "a", "down/told", "before");
  await told.untilLine(/^before$/);
  const drain = await lab.takeOver(signal);
  t.diagnostic(JSON.stringify(drain.services));

  for (const [name, publisher] of Object.entries(acknowledged)) {
    await t.test(`QoS 1, ${name}`, async () => {
      await publisher.untilConnected(2);
      const seen = await publisher.finish();
      assert.deepEqual(
        [seen.connects, new Set(seen.acknowledged).size],
        [2, seen.sent],
        "all was acknowledged in the end",
      );
      const kept = new Set([...brokers.a.messages, ...brokers.b.messages]);
      const lost = seen.acknowledged.filter((message) => !kept.has(message));
      assert.deepEqual(lost, [], "no message that was acknowledged is lost");
    });
  }
  await t.test("QoS 0", async () => {
    await careless.untilConnected(2);
    await brokers.b.until(/^careless/);
    const { connects, sent } = await careless.finish();
    const kept = [...brokers.a.messages, ...brokers.b.messages].filter((message) =>
      message.startsWith("careless"),
    );
    t.diagnostic(`QoS 0: ${kept.length} of ${sent} messages arrived`);
    assert.equal(connects, 2);
  });
  await t.test("subscribers are there again", async () => {
    for (const [topic, subscriber] of [
      ["down/idle", idle],
      ["down/told", told],
    ] as const) {
      await subscriber.untilLine(subscribed, 2);
      await publishFrom(lab, "b", topic, "after");
      await subscriber.untilLine(/^after$/);
    }
  });
  await t.test(
    "a drain longer than the keep-alive closes even those whose last word was not answered",
    () => {
      assert.deepEqual(drain.services["early-mqtt"], { left: 0, finished: 0, closedEarly: 5, cut: 0 });
    },
  );
});
