/** Clients of connections that stay through a takeover: WebSocket, server-sent events, pipelining, MQTT. docs/clients.md tells what is shown here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { oftenMs, seldomMs } from "../fixtures/clients/course.ts";
import type { EventsSeen, SocketSeen } from "../fixtures/clients/event-clients.ts";
import { ClientLab, type When } from "../fixtures/clients/lab.ts";
import { Broker, Publisher, publishFrom, subscribe, subscribed } from "../fixtures/clients/mqtt.ts";
import { missing, versions } from "../fixtures/clients/programs.ts";
import type { Peer } from "../fixtures/peer.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(120_000);

interface SocketKind {
  readonly when: When;
  readonly path: string;
  /** Absent: the client sends nothing. */
  readonly everyMs?: number;
}

/** WebSockets by what is said over them. */
const sockets: Readonly<Record<string, SocketKind>> = {
  idle: { when: "early", path: "/socket" },
  seldom: { when: "early", path: "/socket", everyMs: seldomMs },
  unanswered: { when: "early", path: "/socket?silent=yes", everyMs: seldomMs },
  often: { when: "late", path: "/socket", everyMs: oftenMs },
  "told often": { when: "late", path: `/socket?everyMs=${oftenMs}` },
};

/** Server-sent events, by their pauses. */
const streams = {
  seldom: { when: "early", everyMs: seldomMs },
  often: { when: "late", everyMs: oftenMs },
} as const;

test("WebSocket, server-sent events and pipelining through a takeover", { skip, signal }, async (t) => {
  await using lab = await ClientLab.make("stay", signal);
  const clients = lab.eventClients();
  await beginAll(lab, clients);
  const drain = await lab.takeOver(signal);
  t.diagnostic(JSON.stringify(drain.services));
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
  await t.test("closed early: all but the WebSocket whose last message was not answered", () => {
    assert.deepEqual(drain.services["early-http"], { left: 0, finished: 0, closedEarly: 4, cut: 1 });
    assert.deepEqual(drain.services["late-http"], { left: 0, finished: 0, closedEarly: 0, cut: 4 });
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
  for (const [name, { when, path, ...order }] of Object.entries(sockets)) {
    const url = lab.origin(when, "http").replace("http:", "ws:") + path;
    await clients.call("converse", { name, url, ...order });
  }
  for (const [name, { when, everyMs }] of Object.entries(streams))
    await clients.call("listen", { name, url: `${lab.origin(when, "http")}/events?everyMs=${everyMs}` });
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
  t.diagnostic(await versions("mosquitto_pub"));
  await using lab = await ClientLab.make("mqtt", signal);
  const brokers = { a: await Broker.start(lab, "a"), b: await Broker.start(lab, "b") };
  const subscribers = {
    "down/idle": await subscribe(lab, "early", "down/idle"),
    "down/told": await subscribe(lab, "early", "down/told"),
    "down/late": await subscribe(lab, "late", "down/late"),
  };
  const careful = [
    await Publisher.start(lab, { name: "seldom", when: "early", qos: 1, everyMs: seldomMs }),
    await Publisher.start(lab, { name: "often", when: "late", qos: 1, everyMs: oftenMs }),
  ];
  const careless = [
    await Publisher.start(lab, { name: "careless", when: "early", qos: 0, everyMs: seldomMs }),
    await Publisher.start(lab, { name: "late", when: "late", qos: 0, everyMs: oftenMs }),
  ];
  await publishFrom(lab, "a", "down/told", "before");
  await subscribers["down/told"].untilLine(/^before$/);
  const drain = await lab.takeOver(signal);
  t.diagnostic(JSON.stringify(drain.services));

  for (const publisher of careful) {
    await t.test(`QoS 1, ${publisher.name}`, async () => {
      await publisher.untilConnected(2);
      const { connects, sent, acknowledged } = await publisher.finish();
      assert.deepEqual([connects, new Set(acknowledged).size], [2, sent], "all was acknowledged in the end");
      const last = new RegExp(`^${publisher.name} ${sent}$`);
      await Promise.any([brokers.a.until(last), brokers.b.until(last)]);
      const kept = new Set([...brokers.a.messages, ...brokers.b.messages]);
      const lost = acknowledged.filter((message) => !kept.has(message));
      assert.deepEqual(lost, [], "no message that was acknowledged is lost");
    });
  }
  for (const publisher of careless) {
    await t.test(`QoS 0, ${publisher.name}`, async () => {
      await publisher.untilConnected(2);
      await brokers.b.until(new RegExp(`^${publisher.name} `));
      const { connects, sent } = await publisher.finish();
      const kept = [...brokers.a.messages, ...brokers.b.messages].filter((message) =>
        message.startsWith(`${publisher.name} `),
      );
      t.diagnostic(`${publisher.name}: ${kept.length} of ${sent} messages of QoS 0 arrived`);
      assert.equal(connects, 2);
    });
  }
  await t.test("subscribers are there again", async () => {
    for (const [topic, subscriber] of Object.entries(subscribers)) {
      await subscriber.untilLine(subscribed, 2);
      await publishFrom(lab, "b", topic, "after");
      await subscriber.untilLine(/^after$/);
    }
  });
  await t.test(
    "a drain longer than the keep-alive closes even those whose last word was not answered",
    () => {
      assert.deepEqual(drain.services["early-mqtt"], { left: 0, finished: 0, closedEarly: 4, cut: 0 });
      assert.deepEqual(drain.services["late-mqtt"], { left: 0, finished: 0, closedEarly: 0, cut: 3 });
    },
  );
});
