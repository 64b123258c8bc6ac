/** The crash matrix of boards that may be either kind: a daemon is killed before and after each step of a change from one to the other. */
import { crashTests } from "../fixtures/simulation/crash-tests.ts";

crashTests("everywhere", "kinds");
