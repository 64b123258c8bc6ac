/** The QEMU driver against the contract of a board, with real machines under emulation. */
import { boardContract } from "../contract/board.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { makeQemuSubject } from "../fixtures/board/qemu-subject.ts";

boardContract("QEMU", () => makeQemuSubject(), await whyNoMachines());
