/** What goes over the wire, from the API's own document (`npm run api`), narrowed where that says less than it could. */
import type * as wire from './generated';

export type { Example, FieldProblem, LossPoint, Preset, Progress } from './generated';

/** Anything that can be painted or painted from: an upload or a bundled example. */
export type Picture = Pick<wire.Image, 'id' | 'name' | 'width' | 'height' | 'thumbnail_url' | 'file_url'> &
  Partial<Pick<wire.Image, 'notes'>>;

/** Some or all values by name; which there are is the schema's to say, at run time. */
export type Recipe = Record<string, unknown>;

/** Height and width. */
type Size = [number, number] | null;

export type Plan = Omit<wire.Plan, 'size'> & { size?: Size };
export type Job = Omit<wire.Job, 'size' | 'recipe' | 'plan'> & {
  size: Size;
  recipe: Recipe;
  plan: Plan;
  /** Only what was set. */
  asked: Recipe;
  /** Of a sweep: values by the parameter's name. */
  vary?: Record<string, unknown[]> | null;
};
export type Check = Omit<wire.Check, 'plan' | 'recipe'> & { plan: Plan; recipe: Recipe };
export type Model = wire.ModelInfo;

/** What a painted picture says about how it was made. */
export type Inspection = Omit<wire.FoundRecipe, 'recipe'> & { recipe: Recipe };

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}
