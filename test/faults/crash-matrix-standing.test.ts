/** The crash matrix of stories that bring no new software: rollback, restart, failover, standby. */
import { crashTests } from "../fixtures/simulation/crash-tests.ts";

crashTests("everywhere", "standing");
