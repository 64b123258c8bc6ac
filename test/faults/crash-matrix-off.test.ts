/** The crash matrix of boards that are off while they do not hold. */
import { crashTests } from "../fixtures/simulation/crash-tests.ts";

crashTests("everywhere", "off");
