/** All jobs that the page knows of, kept current by one stream of events. */
import { SvelteMap } from 'svelte/reactivity';

import { ApiError, get, post, request } from '../api/client';
import { listen } from '../api/events';
import type { Job, LossPoint, Page, Progress } from '../api/types';
import { append } from '../curve';
import { session } from './session.svelte';

const STRIP = 40;

export const isLive = (job: Job | undefined): boolean =>
  job !== undefined && ['queued', 'running', 'paused'].includes(job.state);
export const hasPicture = (job: Job | undefined): boolean =>
  job !== undefined && (job.state === 'done' || job.state === 'stopped');

type Verb = 'pause' | 'resume' | 'stop' | 'cancel' | 'retry';

class Jobs {
  readonly byId = new SvelteMap<string, Job>();
  /** Ids of the newest jobs, newest first; cells of sweeps are not among them. */
  recent = $state.raw<string[]>([]);
  isLoaded = $state(false);
  /** Losses of the job on the stage. */
  losses = $state.raw<LossPoint[]>([]);
  /** Rises with each reconnection: views that hold lists of their own fetch them anew. */
  epoch = $state(0);

  #watched: string | null = null;
  #stop: (() => void) | null = null;
  /** Called with a job that no list had, and with one that ended. */
  readonly onNew = new Set<(job: Job) => void>();
  readonly onEnd = new Set<(job: Job) => void>();

  start(): () => void {
    this.#stop?.();
    this.#stop = listen({
      onOpen: () => {
        session.isLost = false;
        void this.refresh();
      },
      onLost: () => {
        session.isLost = true;
        void this.#askWhetherKnown();
      },
      onJob: (job) => this.put(job),
      onProgress: (progress) => this.#advance(progress),
      onPreview: ({ job_id, ...preview }) => this.#merge(job_id, preview),
      onDeleted: (id) => this.forget(id),
    });
    return () => this.#stop?.();
  }

  /** A stream that is refused says not why; an ordinary request does, and asks for the key where one is needed. */
  async #askWhetherKnown(): Promise<void> {
    await get('/jobs', { limit: 1 }).catch(() => undefined);
  }

  async refresh(): Promise<void> {
    try {
      const page = await get<Page<Job>>('/jobs', { limit: STRIP });
      for (const job of page.items) this.know(job);
      this.recent = page.items.filter((job) => !job.parent_id).map((job) => job.id);
      this.isLoaded = true;
      this.epoch += 1;
      if (this.#watched) await this.#fetchWatched(this.#watched);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 0)) session.complain(error);
    }
  }

  put(job: Job): void {
    const before = this.byId.get(job.id);
    if (!this.know(job)) return;
    if (!before && !job.parent_id && !this.recent.includes(job.id)) {
      const isNewest = this.recent.every((id) => (this.byId.get(id)?.created_at ?? '') <= job.created_at);
      if (isNewest) this.recent = [job.id, ...this.recent].slice(0, STRIP);
    }
    if (!before) this.onNew.forEach((tell) => tell(job));
    if (before && isLive(before) && !isLive(job)) this.onEnd.forEach((tell) => tell(job));
  }

  /** Keeps a job without telling of it; not one that an event has overtaken. Returns whether it was kept. */
  know(job: Job): boolean {
    const known = this.byId.get(job.id);
    if (known && known.revision > job.revision) return false;
    this.byId.set(job.id, job);
    return true;
  }

  async fetch(id: string): Promise<void> {
    this.know(await get<Job>(`/jobs/${encodeURIComponent(id)}`));
  }

  forget(id: string): void {
    this.byId.delete(id);
    this.recent = this.recent.filter((other) => other !== id);
  }

  /** Follows one job closely, with its losses. Returns what ends that. */
  watch(id: string, onFail: (error: unknown) => void): () => void {
    this.#watched = id;
    this.losses = [];
    this.#fetchWatched(id).catch(onFail);
    return () => {
      if (this.#watched === id) this.#watched = null;
    };
  }

  async #fetchWatched(id: string): Promise<void> {
    const job = await get<Job>(`/jobs/${id}`);
    this.put(job);
    if (job.kind !== 'picture') return;
    const losses = await get<LossPoint[]>(`/jobs/${id}/losses`).catch(() => []);
    if (this.#watched !== id) return;
    const known = losses.at(-1)?.iteration ?? -1;
    const since = this.losses.filter((point) => point.iteration > known);
    this.losses = [...losses, ...since];
  }

  #advance({ job_id, ...progress }: Progress): void {
    this.#merge(job_id, progress);
    if (job_id !== this.#watched || !progress.losses) return; // before the first iteration there are none
    const { content = null, style = null, tv = null, total } = progress.losses;
    this.losses = append(this.losses, { iteration: progress.iteration, total, content, style, tv });
  }

  #merge(id: string, part: Partial<Job>): void {
    const job = this.byId.get(id);
    if (job) this.byId.set(id, { ...job, ...part });
  }

  async act(id: string, verb: Verb): Promise<void> {
    await this.#answer(`/jobs/${id}/${verb}`, id);
  }

  async change(id: string, values: Record<string, number>): Promise<void> {
    await this.#answer(`/jobs/${id}/changes`, id, values);
  }

  async rename(id: string, name: string): Promise<void> {
    this.put(await request<Job>('PATCH', `/jobs/${id}`, { json: { name } }));
  }

  async remove(id: string): Promise<void> {
    await request('DELETE', `/jobs/${id}`);
    this.forget(id);
  }

  async restore(id: string): Promise<void> {
    await post(`/jobs/${id}/restore`);
    this.byId.delete(id);
    this.put(await get<Job>(`/jobs/${id}`));
    this.epoch += 1;
  }

  /** Commands answer with the job; where they do not, it is fetched. */
  async #answer(path: string, id: string, json?: unknown): Promise<void> {
    const job = await post<Job | undefined>(path, json);
    this.put(job?.id === id ? job : await get<Job>(`/jobs/${id}`));
  }
}

export const jobs = new Jobs();
