/** The container driver against the contract of a board, with real containers, by runc. */
import { boardContract } from "../contract/board.ts";
import { makeContainerSubject, whyNoContainers } from "../fixtures/container/subject.ts";

boardContract("runc", () => makeContainerSubject({ runtime: "runc" }), await whyNoContainers("runc"));
