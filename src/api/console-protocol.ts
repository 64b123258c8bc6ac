/** What the `Upgrade` header of a console's request names (console-upgrade.ts). */
export const consoleProtocol = "twinboard-console";
