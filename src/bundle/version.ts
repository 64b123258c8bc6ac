/** Comparison of versions by the UAPI group's "Version Format Specification", version 1.0. */

const skipped = /^[^a-zA-Z0-9.~^-]+/;
const digits = /^[0-9]*/;
const letters = /^[a-zA-Z]*/;

/**
 * Says which of two versions is higher: negative if `a` is lower, positive if it is higher, 0 if they compare equal.
 * Equal does not mean identical: `1_` equals `1`. Source: the specification's section "Version Comparison", whose steps are numbered here.
 */
export function compareVersions(a: string, b: string): number {
  let [left, right] = [a, b];
  for (;;) {
    // 1
    left = left.replace(skipped, "");
    right = right.replace(skipped, "");
    // 2
    if (left.startsWith("~") || right.startsWith("~")) {
      if (!left.startsWith("~")) return 1;
      if (!right.startsWith("~")) return -1;
      [left, right] = [left.slice(1), right.slice(1)];
      continue;
    }
    // 3
    if (left === "" || right === "") return Math.sign(left.length - right.length);
    // 4 to 6
    const separator = ["-", "^", "."].find((sign) => left.startsWith(sign) || right.startsWith(sign));
    if (separator !== undefined) {
      if (!left.startsWith(separator)) return 1;
      if (!right.startsWith(separator)) return -1;
      [left, right] = [left.slice(1), right.slice(1)];
      continue;
    }
    // 7 and 8
    const numeric = /^[0-9]/.test(left) || /^[0-9]/.test(right);
    const run = numeric ? digits : letters;
    const [leftRun, rightRun] = [run.exec(left)?.[0] ?? "", run.exec(right)?.[0] ?? ""];
    const order = numeric ? compareNumbers(leftRun, rightRun) : compareText(leftRun, rightRun);
    if (order !== 0) return order;
    [left, right] = [left.slice(leftRun.length), right.slice(rightRun.length)];
  }
}

/** Digits of any length, so that no version overflows a number. */
function compareNumbers(a: string, b: string): number {
  const [left, right] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  return left.length === right.length ? compareText(left, right) : Math.sign(left.length - right.length);
}

/** ASCII order: capital letters before small ones, a prefix before what it begins. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
