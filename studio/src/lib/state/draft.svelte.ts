/** The picture that is being prepared: photo, styles, masks, and what was changed of the recipe. */
import { ApiError, get, post, request } from '../api/client';
import type { Check, Example, Inspection, Job, Model, Picture, Recipe } from '../api/types';
import { blend, entry, overridesOf, scales, subject, valueOf, without, withValue } from '../recipe';
import { t } from '../i18n/index.svelte';
import type { Field } from '../schema';
import { catalog } from './catalog.svelte';
import { jobs } from './jobs.svelte';
import { LOCK, masks } from './masks.svelte';
import { sentenceOf, session } from './session.svelte';

export interface Style {
  key: string;
  picture: Picture;
  share: number;
  scale: number;
}

interface Saved {
  content: Picture | null;
  styles: Style[];
  overrides: Recipe;
  job: string | null;
  /** Ids of the masks that the service has, by layer. */
  masks?: Record<string, string>;
}

const STORED = 'impasto.draft';
/** Said by the styles themselves, and not among the settings. */
const OWN = ['style_blend', 'style_scale', 'changes'];

class Draft {
  content = $state.raw<Picture | null>(null);
  styles = $state.raw<Style[]>([]);
  overrides = $state.raw<Recipe>({});
  /** The last job that was made of this draft. */
  job = $state<string | null>(null);

  check = $state.raw<Check | null>(null);
  isBusy = $state(false);
  /** What the service refused, by the field that it is about; '' for none. */
  problems = $state.raw<Record<string, string>>({});
  #lastKey = 0;
  /** Masks of an earlier visit that were not fetched yet. */
  #masks: Record<string, string> = {};
  /** A failed attempt is repeated under the same key, so that it never paints twice. */
  #attempt: { body: string; key: string } | null = null;

  constructor() {
    const saved = read();
    if (!saved) return;
    this.#assign(saved);
    this.#masks = saved.masks ?? {};
    this.#lastKey = Math.max(0, ...this.styles.map(({ key }) => Number(key) || 0));
  }

  get isComplete(): boolean {
    return this.content !== null && this.styles.length > 0;
  }

  /** What is sent: only what differs from the defaults, which stay the service's. */
  get recipe(): Recipe {
    const recipe: Recipe = { ...this.overrides };
    const shares = blend(this.styles.map(({ share }) => share));
    const sizes = scales(this.styles.map(({ scale }) => scale));
    if (shares) recipe['style_blend'] = shares;
    if (sizes) recipe['style_scale'] = sizes;
    if (this.substitute) recipe['model'] = this.substitute;
    return recipe;
  }

  /** The encoder that is taken while the default one still has to be downloaded; null where nothing is missing. */
  get substitute(): string | null {
    if ('model' in this.overrides) return null;
    const wanted = catalog.models.find(({ name }) => name === catalog.field('model')?.default);
    if (!wanted || wanted.is_ready) return null;
    return catalog.models.find((model) => model.is_ready)?.name ?? null;
  }

  /** The encoder whose weights are wanted and not there: the default one, the one that was chosen, or the finishing one. */
  get missingModel(): Model | undefined {
    const { model = catalog.field('model')?.default, finish } = this.overrides;
    const names = [model, String(finish ?? '').split(':')[0]];
    return catalog.models.find(({ name, is_ready }) => !is_ready && names.includes(name));
  }

  value(field: Field): unknown {
    return valueOf(field, this.overrides, catalog.looks);
  }

  set(name: string, value: unknown): void {
    const field = catalog.field(name);
    if (!field) return;
    this.overrides = withValue(field, value, this.overrides, catalog.looks);
    this.problems = without(this.problems, name);
  }

  reset(): void {
    this.overrides = {};
    this.problems = {};
  }

  setContent(picture: Picture | null): void {
    const isOther = picture?.width !== this.content?.width || picture?.height !== this.content?.height;
    const before = this.content;
    const bringBack = isOther ? masks.dropAll() : null;
    this.content = picture;
    this.problems = {};
    if (!bringBack) return;
    const undo = () => {
      this.content = before;
      bringBack();
    };
    session.say(t().masksDropped, { action: { label: t().undo, run: undo } });
  }

  addStyle(picture: Picture): void {
    this.styles = [...this.styles, { key: String(++this.#lastKey), picture, share: 1, scale: 1 }];
    this.problems = {};
  }

  removeStyle(key: string): void {
    masks.drop(key);
    this.styles = this.styles.filter((style) => style.key !== key);
  }

  changeStyle(key: string, change: Partial<Style>): void {
    this.styles = this.styles.map((style) => (style.key === key ? { ...style, ...change } : style));
  }

  moveStyle(key: string, by: number): void {
    const from = this.styles.findIndex((style) => style.key === key);
    const target = from + by;
    if (from < 0 || target < 0 || target >= this.styles.length) return;
    const styles = [...this.styles];
    styles.splice(target, 0, ...styles.splice(from, 1));
    this.styles = styles;
  }

  toggleStyle(picture: Picture): void {
    const chosen = this.styles.find((style) => style.picture.id === picture.id);
    if (chosen) this.removeStyle(chosen.key);
    else this.addStyle(picture);
  }

  /** Everything that makes the draft, so that replacing it can be undone. */
  snapshot(): Saved {
    const { content, styles, overrides, job } = this;
    return { content, styles, overrides, job, masks: { ...this.#masks, ...masks.known } };
  }

  async restore(saved: Saved): Promise<void> {
    this.#assign(saved);
    this.problems = {};
    masks.dropAll();
    this.#masks = saved.masks ?? {};
    await this.#fetchMasks();
  }

  #assign({ content, styles, overrides, job }: Saved): void {
    Object.assign(this, { content, styles, overrides, job });
  }

  /** Those of an earlier visit; one that is gone is nothing to complain of. */
  async #fetchMasks(): Promise<void> {
    const { content } = this;
    const wanted = Object.entries(this.#masks);
    this.#masks = {};
    if (!content) return;
    const fetches = wanted.map(async ([key, id]) =>
      masks.fetch(key, await pictureOf(id), content.width, content.height),
    );
    await Promise.allSettled(fetches);
  }

  save(): void {
    localStorage.setItem(STORED, JSON.stringify(this.snapshot()));
  }

  /** Takes over a job's pictures and recipe. */
  async take(job: Job): Promise<void> {
    masks.dropAll();
    this.content = job.content;
    this.styles = job.styles.map((picture, index) => ({
      key: String(++this.#lastKey),
      picture,
      share: entry(job.recipe['style_blend'], index, 1),
      scale: entry(job.recipe['style_scale'], index, 1),
    }));
    this.takeRecipe(job.asked);
    this.job = job.id;
    const { content } = job;
    if (!content) return;
    const fetches = (job.content_masks ?? []).map((mask, index) =>
      masks.fetch(this.styles[index]!.key, mask, content.width, content.height),
    );
    if (job.lock_mask) fetches.push(masks.fetch(LOCK, job.lock_mask, content.width, content.height));
    await Promise.all(fetches);
  }

  takeRecipe(recipe: Recipe): void {
    const fields = catalog.fields.filter(({ name }) => !OWN.includes(name));
    this.overrides = overridesOf(recipe, fields, catalog.looks);
    this.problems = {};
  }

  /** Takes the recipe and those inputs of a painted picture that are among the uploads. Returns the names of the others. */
  async takeInspected(found: Inspection): Promise<string[]> {
    masks.dropAll();
    const missing: string[] = [];
    const fetched = async (input: Inspection['content']) => {
      if (!input) return null;
      if (input.image_id) return pictureOf(input.image_id);
      missing.push(input.name);
      return null;
    };
    const content = await fetched(found.content);
    if (content) this.content = content;
    const styles = await Promise.all(found.styles.map(fetched));
    if (styles.some(Boolean)) {
      this.styles = styles.flatMap((picture, index) =>
        picture
          ? [
              {
                key: String(++this.#lastKey),
                picture,
                share: entry(found.recipe['style_blend'], index, 1),
                scale: entry(found.recipe['style_scale'], index, 1),
              },
            ]
          : [],
      );
    }
    this.takeRecipe(found.recipe);
    this.job = null;
    return missing;
  }

  /** Drops what the service no longer has, as after another caller's visit. */
  async verify(): Promise<void> {
    const isGone = async (picture: Picture) =>
      pictureOf(picture.id).then(
        () => false,
        (error: unknown) => error instanceof ApiError && (error.status === 404 || error.status === 403),
      );
    if (this.content && (await isGone(this.content))) this.content = null;
    const gone = await Promise.all(this.styles.map(({ picture }) => isGone(picture)));
    if (gone.some(Boolean)) this.styles = this.styles.filter((_, index) => !gone[index]);
    await this.#fetchMasks();
  }

  /** Pictures, masks and recipe as the service takes them. */
  async body(): Promise<Record<string, unknown>> {
    const [contentMasks, lock] = await Promise.all([
      masks.upload(this.styles.map(({ key }) => key)),
      masks.upload([LOCK]),
      catalog.knowModels(),
    ]);
    return {
      content: this.content?.id,
      styles: this.styles.map(({ picture }) => picture.id),
      recipe: this.recipe,
      ...(contentMasks && { content_masks: contentMasks }),
      ...(lock && { lock_mask: lock[0] }),
    };
  }

  /** Asks what would be painted: warnings, size, time and memory. */
  async ask(signal: AbortSignal): Promise<void> {
    try {
      const body = await this.body();
      this.check = await request<Check>('POST', '/jobs/check', { json: body, signal });
      this.problems = {};
    } catch (error) {
      if (signal.aborted) return;
      this.check = null;
      this.#refused(error);
    }
  }

  /** Paints. Returns the job, or null where it was refused; then `problems` says why. */
  async paint(): Promise<Job | null> {
    this.isBusy = true;
    try {
      const body = await this.body();
      const text = JSON.stringify(body);
      if (this.#attempt?.body !== text) this.#attempt = { body: text, key: randomKey() };
      const job = await post<Job>('/jobs', body, { 'Idempotency-Key': this.#attempt.key });
      this.#attempt = null;
      jobs.put(job);
      this.job = job.id;
      this.problems = {};
      return job;
    } catch (error) {
      if (error instanceof ApiError && error.status !== 0) this.#attempt = null;
      this.#refused(error);
      return null;
    } finally {
      this.isBusy = false;
    }
  }

  #refused(error: unknown): void {
    const sentence = sentenceOf(error);
    const listed = error instanceof ApiError ? error.problems : [];
    const byField = listed.map(({ field, message }) => [field.split(/[./]/).at(-1) ?? '', message] as const);
    const known = byField.filter(([name]) => catalog.field(name));
    const about = subject(sentence, catalog.fields);
    if (known.length > 0) this.problems = Object.fromEntries(known);
    else this.problems = sentence ? { [about ?? '']: sentence } : {};
  }
}

/** An upload, or a bundled example, which is taken wherever an upload is. */
export async function pictureOf(id: string): Promise<Picture> {
  const example: Example | undefined = catalog.examples.find((one) => one.id === id);
  return example ?? get<Picture>(`/images/${encodeURIComponent(id)}`);
}

/** Not crypto.randomUUID, which browsers have only on https and on this machine's own address. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}

function read(): Saved | null {
  try {
    const saved = JSON.parse(localStorage.getItem(STORED) ?? 'null') as Saved | null;
    return saved && Array.isArray(saved.styles) && typeof saved.overrides === 'object' ? saved : null;
  } catch {
    return null;
  }
}

export const draft = new Draft();
