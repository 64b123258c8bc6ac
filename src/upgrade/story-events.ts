/** The live event stream: the journal's records from any of them on, and progress as it happens. */
import type { Journal } from "./journal.ts";
import type { JournalRecord, ProgressEvent } from "./record.ts";

export type StoryEvent = { readonly record: JournalRecord } | { readonly progress: ProgressEvent };

/** Events that a slow listener may be behind before its stream is ended; it resumes by sequence number. */
const maxBacklog = 10_000;

/** Records after `afterSeq`, then everything that happens, until the signal aborts. */
export async function* storyEvents(
  journal: Journal,
  progressListeners: Set<(event: ProgressEvent) => void>,
  afterSeq: number,
  signal: AbortSignal,
): AsyncGenerator<StoryEvent> {
  const backlog: StoryEvent[] = journal.records
    .filter((record) => record.seq > afterSeq)
    .map((record) => ({ record }));
  const limit = backlog.length + maxBacklog;
  let wake = Promise.withResolvers<void>();
  const push = (event: StoryEvent): void => {
    backlog.push(event);
    wake.resolve();
  };
  const showProgress = (progress: ProgressEvent): void => push({ progress });
  const abort = (): void => wake.resolve();
  const unsubscribe = journal.subscribe((record) => push({ record }));
  progressListeners.add(showProgress);
  signal.addEventListener("abort", abort);
  try {
    while (!signal.aborted && backlog.length <= limit) {
      const event = backlog.shift();
      if (event !== undefined) yield event;
      else {
        await wake.promise;
        wake = Promise.withResolvers<void>();
      }
    }
  } finally {
    unsubscribe();
    progressListeners.delete(showProgress);
    signal.removeEventListener("abort", abort);
  }
}
