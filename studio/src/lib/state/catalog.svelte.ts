/** What the service offers: parameters, looks, presets, encoders, example pictures. Fetched once a visit. */
import { get, post } from '../api/client';
import type { Example, Model, Preset } from '../api/types';
import { fieldsOf, type Field, type JsonSchema, type Look } from '../schema';

interface RecipeForm {
  json_schema: JsonSchema;
  live_tunable: string[];
  looks: Look[];
  presets: Preset[];
}

class Catalog {
  isReady = $state(false);
  fields = $state.raw<Field[]>([]);
  looks = $state.raw<Look[]>([]);
  presets = $state.raw<Preset[]>([]);
  models = $state.raw<Model[]>([]);
  examples = $state.raw<Example[]>([]);
  version = $state('');

  #asking: Promise<void> | null = null;

  async load(): Promise<void> {
    // The service loads its network to answer this, which takes seconds; the page does not wait for it.
    this.knowModels().catch(() => undefined);
    const [form, examples, version] = await Promise.all([
      get<RecipeForm>('/recipe/schema'),
      get<Example[]>('/examples'),
      get<{ version: string }>('/version'),
    ]);
    this.fields = fieldsOf(form.json_schema, form.live_tunable);
    this.looks = form.looks;
    this.presets = form.presets;
    this.examples = examples;
    this.version = version.version;
    this.isReady = true;
  }

  /** Is over once it is known which encoders are ready: what is sent depends on it. */
  async knowModels(): Promise<void> {
    if (this.models.length) return;
    this.#asking ??= get<Model[]>('/models')
      .then((models) => {
        this.models = models;
      })
      .finally(() => {
        this.#asking = null;
      });
    await this.#asking;
  }

  field(name: string): Field | undefined {
    return this.fields.find((field) => field.name === name);
  }

  /** Asks for an encoder's weights, and follows the download to its end. */
  async download(name: string): Promise<void> {
    await post(`/models/${encodeURIComponent(name)}/download`);
    for (;;) {
      this.models = await get<Model[]>('/models');
      const model = this.models.find((one) => one.name === name);
      if (!model || model.is_ready) return;
      if (model.download?.error) throw new Error(model.download.error);
      if (!model.download) return;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

export const catalog = new Catalog();
