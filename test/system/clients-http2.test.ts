/** Clients of HTTP/2 over TLS, by IPv6, through a takeover and its drain. docs/clients.md tells what is shown here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Exposed, each, openCourse, throughTakeover, unharmed } from "../fixtures/clients/course.ts";
import { openCurlCourse } from "../fixtures/clients/curl.ts";
import { ClientLab } from "../fixtures/clients/lab.ts";
import { h2load, nghttp } from "../fixtures/clients/load.ts";
import { missing, versions } from "../fixtures/clients/programs.ts";

const skip = process.geteuid?.() === 0 ? false : "network namespaces need root";
const signal = AbortSignal.timeout(120_000);

/** What is different: a request that crosses the close on its way, and what is under way at the deadline. */
const exposed: Readonly<Record<string, Exposed>> = {
  "Node http2": {
    busy: "at most one failed, served by a and b",
    crossed: "ECONNRESET",
    cut: each("ECONNRESET"),
  },
  curl: { often: ["a"], crossed: "b", cut: { ...each("exit 56"), slow: "b", retried: "b" } },
};

test("clients of HTTP/2 through a takeover", { skip, signal }, async (t) => {
  const absent = { curl: await missing("curl"), nghttp2: await missing("h2load", "nghttp") };
  t.diagnostic(await versions("curl", "h2load", "nghttp"));
  await using lab = await ClientLab.make("h2", signal, "ipv6");
  const node = lab.node();
  const courses = [
    await openCourse(lab, { name: "Node http2", client: "http2", protocol: "https", program: () => node }),
  ];
  if (absent.curl === false)
    courses.push(await openCurlCourse(lab, { name: "curl", protocol: "https", options: ["--http2"] }));
  const ofNghttp2 = absent.nghttp2 === false ? await beginNghttp2(lab) : undefined;
  const { drain, results } = await throughTakeover(lab, courses, signal);
  t.diagnostic(JSON.stringify(drain));

  for (const [name, expected] of Object.entries(exposed)) {
    await t.test(name, { skip: name === "curl" ? absent.curl : false }, () => {
      assert.deepEqual(results.get(name), { ...unharmed, ...expected });
    });
  }
  await t.test("h2load", { skip: absent.nghttp2 }, async () => {
    const { started, succeeded, failed } = (await ofNghttp2?.load) ?? {};
    assert.deepEqual([succeeded, failed], [started, 0], "it never connects again, and no answer is missing");
    assert.deepEqual(await lab.counted("h2load"), { asked: started, answered: started });
  });
  await t.test("nghttp", { skip: absent.nghttp2 }, async () => {
    assert.deepEqual([await ofNghttp2?.answered, await ofNghttp2?.cut], ["a", "no answer"]);
  });
});

async function beginNghttp2(lab: ClientLab) {
  const url = (when: "early" | "late", path: string, who: string): string =>
    `${lab.origin(when, "https")}/${path}?until=${when}&who=${who}`;
  const load = h2load(lab, url("early", "", "h2load"), { perSecond: 1, seconds: 12 });
  // It asks once, over a connection of its own.
  const answered = nghttp(lab, url("early", "held", "answered"));
  const cut = nghttp(lab, url("late", "held", "cut"));
  await lab.untilAsked([
    ["h2load", 2],
    ["answered", 1],
    ["cut", 1],
  ]);
  return { load, answered, cut };
}
