/**
 * The same of arm64: firmware that turns its machine off by the firmware's own interface, which QEMU's processor or KVM answers
 * (Arm Power State Coordination Interface, SYSTEM_OFF by HVC), and so ends QEMU in order.
 */
import type { TestGuest } from "./test-guest.ts";

/** One instruction a line, as an assembler gives them; in memory their bytes are the other way round. */
const program = `
52800100  movz w0, 0x0008
72b08000  movk w0, 0x8400, lsl 16   ; SYSTEM_OFF
d4000002  hvc  0
14000000  b    .
`;

export const arm64TestGuest: TestGuest = {
  firmware: () => {
    const words = program
      .trim()
      .split("\n")
      .map((line) => Number.parseInt(line.slice(0, 8), 16));
    const firmware = Buffer.alloc(words.length * 4);
    for (const [index, word] of words.entries()) firmware.writeUInt32LE(word, index * 4);
    return firmware;
  },
  arguments: [],
  exitCode: 0,
};
