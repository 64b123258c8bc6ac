/**
 * Crashes in the recovery from a crash: each story is killed at some call, the daemon that recovers it at another, and sometimes the one
 * after that, with and without reboots of the host in between. Chosen by a seed; `TWINBOARD_SEED` sets another.
 */
import { crashTests } from "../fixtures/simulation/crash-tests.ts";

crashTests("in-recovery", "upgrades", "standing", "kinds");
