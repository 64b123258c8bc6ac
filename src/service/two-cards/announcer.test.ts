import assert from "node:assert/strict";
import { test } from "node:test";
import { announcementTimesMs } from "./announcer.ts";

test("announcements are dense from the takeover until the old card has been shut for a while, then repeated for who missed them", () => {
  assert.deepEqual(announcementTimesMs(0), [0, 2, 4, 6, 8, 10, 100, 500, 2000]);
  const times = announcementTimesMs(20);
  assert.deepEqual(times.slice(-4), [30, 120, 520, 2020]);
  assert.deepEqual(times.slice(0, 4), [0, 2, 4, 6]);
});

for (const lingerMs of [0, 1, 5, 20, 25, 40, 99, 250, 1000])
  test(`with a linger of ${lingerMs} ms each comes after the one before, and around both ends they are 2 ms apart`, () => {
    const times = announcementTimesMs(lingerMs);
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    assert.ok(gaps.every((gap) => gap > 0));
    for (const [index, gap] of gaps.slice(0, -3).entries()) {
      const at = times[index] ?? 0;
      assert.ok(gap <= (at < 20 || at >= lingerMs - 10 ? 2 : 20), `${gap} ms after ${at} ms`);
    }
    assert.ok(
      (times.at(-4) ?? 0) >= lingerMs + 9,
      "the last of the dense ones comes after the old card is shut",
    );
    assert.ok(times.length < 120);
  });
