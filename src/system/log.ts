/**
 * The daemon's log: one line an event on stdout. Under journald with the priority that it reads (sd-daemon(3)) and without a time of
 * its own. Only the daemon's composition logs; every other module gives events and errors.
 */

export type LogLevel = "error" | "warning" | "notice" | "info";
type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export type Log = (level: LogLevel, message: string, fields?: Fields) => void;

/** syslog(3). */
const priorities: Readonly<Record<LogLevel, number>> = { error: 3, warning: 4, notice: 5, info: 6 };

function fieldsText(fields: Fields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? JSON.stringify(value) : String(value)}`)
    .join("");
}

/** A log that writes lines by `write`. With `journald` each begins with its priority instead of time and level. */
export function createLog(write: (line: string) => void, journald: boolean): Log {
  return (level, message, fields = {}) => {
    // One event, one line: what came from elsewhere must not look like an event of its own.
    const text = `${message}${fieldsText(fields)}`.replaceAll("\n", journald ? " | " : "\n    ");
    write(journald ? `<${priorities[level]}>${text}\n` : `${new Date().toISOString()} ${level} ${text}\n`);
  };
}

export function stdoutLog(): Log {
  return createLog((line) => process.stdout.write(line), process.env["JOURNAL_STREAM"] !== undefined);
}
