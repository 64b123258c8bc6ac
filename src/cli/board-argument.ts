/** Which board a verb is about. */
import { Argument } from "@commander-js/extra-typings";

/** `a` or `b`; anything else is a usage error that says so. */
export const boardArgument = () => new Argument("<board>", "which board").choices(["a", "b"] as const);
