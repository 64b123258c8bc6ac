/** The crash matrix of stories that bring no new software: rollback, restart, failover, standby. */
import { crashMatrix } from "../fixtures/simulation/crash-matrix.ts";
import { standingScenarios } from "../fixtures/simulation/crash-scenarios.ts";

crashMatrix(standingScenarios);
