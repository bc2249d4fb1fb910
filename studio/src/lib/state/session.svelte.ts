/** Who is looking and whether the service answers: key, connection, messages. */
import { ApiError, onKeyNeeded, request } from '../api/client';
import { t } from '../i18n/index.svelte';

export interface Toast {
  id: number;
  text: string;
  isError: boolean;
  action?: { label: string; run: () => void };
}

class Session {
  needsKey = $state(false);
  isLost = $state(false);
  toasts = $state.raw<Toast[]>([]);
  /** Rises each time the caller changes, so that what was fetched for another is fetched anew. */
  visit = $state(0);
  #lastToast = 0;

  constructor() {
    onKeyNeeded.handle = () => (this.needsKey = true);
  }

  async signIn(key: string): Promise<void> {
    await request('POST', '/session', { json: { key } });
    this.needsKey = false;
    this.visit += 1;
  }

  async signOut(): Promise<void> {
    await request('DELETE', '/session');
    this.visit += 1;
  }

  say(text: string, options: { isError?: boolean; action?: Toast['action']; seconds?: number } = {}): number {
    const { isError = false, action, seconds = isError || action ? 10 : 4 } = options;
    const toast = { id: ++this.#lastToast, text, isError, action };
    this.toasts = [...this.toasts.slice(-2), toast];
    setTimeout(() => this.dismiss(toast.id), seconds * 1000);
    return toast.id;
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
  }

  /** Says what went wrong; a missing key has its own dialog, and an abandoned request is nobody's failure. */
  complain(error: unknown): void {
    const sentence = sentenceOf(error);
    if (sentence) this.say(sentence, { isError: true });
  }
}

/** An error as the sentence to show; empty where there is nothing to say. */
export function sentenceOf(error: unknown): string {
  if (error instanceof DOMException && error.name === 'AbortError') return '';
  if (error instanceof ApiError) {
    if (error.status === 401) return '';
    return error.status === 0 ? t().noAnswer : error.message;
  }
  return error instanceof Error ? error.message : String(error);
}

export const session = new Session();
