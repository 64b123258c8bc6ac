import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { hears, listeners, parseListeners } from "./listeners.ts";

test("listeners are read from what ss prints", () => {
  const table = `LISTEN 0      128      0.0.0.0:22   0.0.0.0:*
LISTEN 0      511    127.0.0.1:9403 0.0.0.0:*
LISTEN 0      32     0.0.0.0%virbr0:53 0.0.0.0:*
LISTEN 0      511    [2001:db8::10]:80    [::]:*
LISTEN 0      511    [fe80::1]%up0:81    [::]:*
LISTEN 0      511         [::]:9401    [::]:*
LISTEN 0      511            *:9402       *:*
`;
  assert.deepEqual(parseListeners(table), [
    { address: "0.0.0.0", port: 22 },
    { address: "127.0.0.1", port: 9403 },
    { address: "0.0.0.0", port: 53 },
    { address: "2001:db8::10", port: 80 },
    { address: "fe80::1", port: 81 },
    { address: "::", port: 9401 },
    { address: "*", port: 9402 },
  ]);
});

function heard(own: string): string[] {
  return ["198.51.100.10", "2001:db8::10"].filter((address) => hears({ address: own, port: 80 }, address));
}

test("a listener hears its own address, or every address of its families", () => {
  assert.deepEqual(heard("*"), ["198.51.100.10", "2001:db8::10"]);
  assert.deepEqual(heard("0.0.0.0"), ["198.51.100.10"]);
  assert.deepEqual(heard("::"), ["2001:db8::10"]);
  assert.deepEqual(heard("2001:db8::10"), ["2001:db8::10"]);
  assert.deepEqual(heard("127.0.0.1"), []);
});

test("listeners of this process are found, and whether they take one family or both", async () => {
  const found: string[] = [];
  for (const options of [{ host: "127.0.0.1" }, { host: "::", ipv6Only: true }, { host: "::" }]) {
    const server = createServer().listen({ ...options, port: 0 });
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    found.push(...(await listeners("tcp")).filter((one) => one.port === port).map(({ address }) => address));
    server.close();
  }
  assert.deepEqual(found, ["127.0.0.1", "::", "*"]);
});
