/** One event stream a tab, for all jobs: browsers allow six connections a host over all tabs. */
import { address } from './client';
import type { Job, Progress } from './types';

export interface Listener {
  /** The stream (re)opened: whatever was known may be stale, fetch it anew. */
  onOpen(): void;
  onLost(): void;
  onJob(job: Job): void;
  onProgress(progress: Progress): void;
  onPreview(preview: { job_id: string; preview_version: number; preview_url: string }): void;
  onDeleted(jobId: string): void;
}

const LONGEST_WAIT = 15_000;

/** Opens the stream and keeps it open until the returned function is called. */
export function listen(listener: Listener): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wait = 500;
  let isClosed = false;

  function open() {
    source = new EventSource(address('/events'));
    source.onopen = () => {
      wait = 500;
      listener.onOpen();
    };
    source.onerror = () => {
      if (isClosed) return;
      listener.onLost();
      // The browser tries again by itself only after a broken connection, never after an answer such as 503.
      source?.close();
      clearTimeout(timer);
      timer = setTimeout(open, wait);
      wait = Math.min(wait * 2, LONGEST_WAIT);
    };
    on<Job>('job', listener.onJob);
    on<Progress>('progress', listener.onProgress);
    on<Parameters<Listener['onPreview']>[0]>('preview', listener.onPreview);
    on<{ job_id: string }>('deleted', ({ job_id }) => listener.onDeleted(job_id));
  }

  function on<T>(name: string, handle: (data: T) => void) {
    source?.addEventListener(name, (event) => handle(JSON.parse((event as MessageEvent<string>).data) as T));
  }

  /** A laptop that wakes up should not wait for the next attempt. */
  function retryNow() {
    if (!isClosed && source?.readyState === EventSource.CLOSED) {
      clearTimeout(timer);
      open();
    }
  }

  window.addEventListener('online', retryNow);
  open();
  return () => {
    isClosed = true;
    clearTimeout(timer);
    window.removeEventListener('online', retryNow);
    source?.close();
  };
}
