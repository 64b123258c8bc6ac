/** The container driver against the contract of a board, with real containers, by each runtime that is there. */
import { runtimeNames } from "../../src/board/container/runtime.ts";
import { boardContract } from "../contract/board.ts";
import { makeContainerSubject, whyNoContainers } from "../fixtures/container/subject.ts";

for (const runtime of runtimeNames)
  boardContract(runtime, () => makeContainerSubject({ runtime }), await whyNoContainers(runtime));
