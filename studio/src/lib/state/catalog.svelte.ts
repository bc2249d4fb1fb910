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

  async load(): Promise<void> {
    const [form, models, examples, version] = await Promise.all([
      get<RecipeForm>('/recipe/schema'),
      get<Model[]>('/models'),
      get<Example[]>('/examples'),
      get<{ version: string }>('/version'),
    ]);
    this.fields = fieldsOf(form.json_schema, form.live_tunable);
    this.looks = form.looks;
    this.presets = form.presets;
    this.models = models;
    this.examples = examples;
    this.version = version.version;
    this.isReady = true;
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
