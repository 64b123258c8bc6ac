import assert from "node:assert/strict";
import { endianness } from "node:os";
import { test } from "node:test";
import { hostKey, parseHostRoutes } from "./kernel-routes.ts";

test("routes to one host are told from those to networks, in both families", () => {
  const [host, network] = endianness() === "LE" ? ["0200E70A", "0000E70A"] : ["0AE70002", "0AE70000"];
  const four = [
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    `tb1-a-s\t${host}\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0`,
    `up0\t${network}\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0`,
    "",
  ].join("\n");
  const zeros = "0".repeat(32);
  const six = [
    `fd5c9a1e7b4200000000000000000002 80 ${zeros} 00 ${zeros} 00000400 00000001 00000000 00000001  tb1-a-s`,
    `fd5c9a1e7b4200000000000000000000 40 ${zeros} 00 ${zeros} 00000400 00000001 00000000 00000001      up0`,
    "",
  ].join("\n");
  assert.deepEqual(
    [...parseHostRoutes(four, six)].toSorted(),
    [hostKey("10.231.0.2", "tb1-a-s"), hostKey("fd5c:9a1e:7b42::2", "tb1-a-s")].toSorted(),
  );
});
