/** The QEMU driver against the contract of a board, with real machines under emulation. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QemuBoard, type QemuBoardOptions } from "../../src/board/qemu/qemu-board.ts";
import { systemNames } from "../../src/system/names.ts";
import { type BoardSubject, boardContract } from "../contract/board.ts";
import { whyNoMachines } from "../fixtures/board/host.ts";
import { testImages } from "../fixtures/board/image.ts";

const skip = await whyNoMachines();
const images = skip === false ? await testImages() : undefined;

/** Hooks of the test image that end it. */
const deadly = { panic: "quiesce", shutdown: "import-state", reset: "standby" } as const;

interface QemuSubject extends BoardSubject {
  readonly board: QemuBoard;
}

async function makeSubject(options: Partial<QemuBoardOptions> = {}): Promise<QemuSubject> {
  const directory = await mkdtemp(join(tmpdir(), "twinboard-board-"));
  const names = systemNames(`test-${randomUUID().slice(0, 8)}`, join(directory, "run"));
  const boards: QemuBoard[] = [];
  const restart = (): QemuBoard => {
    const board = new QemuBoard({
      name: "a",
      names,
      memoryBytes: 128 * 1024 * 1024,
      cpus: 1,
      accelerator: "tcg",
      user: { uid: 65_534, gid: 65_534 },
      identity: { address4: "10.231.0.2/29", gateway4: "10.231.0.1" },
      stateDirectory: join(directory, "state"),
      ...options,
    });
    boards.push(board);
    return board;
  };
  const board = restart();
  return {
    board,
    restart,
    software: ({ reports = "1.0.0" } = {}) => ({
      instance: randomUUID(),
      version: reports,
      images: images ?? {},
      kernelArguments: ["quiet", reports === "never" ? "test.ready=never" : `test.version=${reports}`].join(
        " ",
      ),
    }),
    die: async (cause) => {
      // The answer never comes.
      await board.runHook(deadly[cause], AbortSignal.timeout(20_000)).catch(() => undefined);
    },
    kill: async () => {
      const condition = await board.inspect();
      if (condition.state !== "off") process.kill(condition.pid, "SIGKILL");
    },
    async [Symbol.asyncDispose]() {
      await board.tearDown(AbortSignal.timeout(30_000));
      for (const each of boards) await each.release();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

boardContract("QEMU", makeSubject, skip);
