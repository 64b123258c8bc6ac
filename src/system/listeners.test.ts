import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { parseListeners, tcpListeners } from "./listeners.ts";

test("listeners are read from the kernel's table, other sockets passed over", () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0A6433C6:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0A6433C6:0051 016433C6:9C40 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   3: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 0 0 0 0
   4: 000080FE00000000FF565A02FE5D3EFE:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 0 0 0 0
`;
  assert.deepEqual(parseListeners(table), [
    { address: "198.51.100.10", port: 80 },
    { address: "0.0.0.0", port: 22 },
    { address: "0.0.0.0", port: 8080 },
  ]);
});

test("a listener of this process is found", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const found = (await tcpListeners()).find((listener) => listener.port === port);
  server.close();
  assert.deepEqual(found, { address: "127.0.0.1", port });
});
