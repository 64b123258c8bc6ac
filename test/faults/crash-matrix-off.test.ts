/** The crash matrix of boards that are off while they do not hold. */
import { crashMatrix } from "../fixtures/simulation/crash-matrix.ts";
import { offScenarios } from "../fixtures/simulation/crash-scenarios.ts";

crashMatrix(offScenarios);
