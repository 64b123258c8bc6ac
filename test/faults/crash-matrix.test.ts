/**
 * The crash matrix: every story, killed before and after every call that it makes to the outside (each journal record, each replacement of
 * `system.json`, each call of a driver), with and without a reboot of the host. Whatever happened, the next daemon brings the system to an
 * end that the table of docs/story.md allows, and the next upgrade works. Here of upgrades.
 */
import { crashTests } from "../fixtures/simulation/crash-tests.ts";

crashTests("everywhere", "upgrades");
