/** The container driver against the contract of a board, with real containers, by crun. */
import { boardContract } from "../contract/board.ts";
import { makeContainerSubject, whyNoContainers } from "../fixtures/container/subject.ts";

boardContract("crun", () => makeContainerSubject({ runtime: "crun" }), await whyNoContainers("crun"));
