/** The crash matrix of boards that may be either kind: a daemon is killed before and after each step of a change from one to the other. */
import { crashMatrix } from "../fixtures/simulation/crash-matrix.ts";
import { kindScenarios } from "../fixtures/simulation/crash-scenarios.ts";

crashMatrix(kindScenarios);
