/** The driver of boards that may be of either kind against the contract of a board, where it is a real container. */
import { boardContract } from "../contract/board.ts";
import { makeEitherSubject, whyNotEither } from "../fixtures/board/either-subject.ts";

boardContract("either kind, a container", () => makeEitherSubject("container"), await whyNotEither());
