/** Recipes as a person thinks of them: what was changed, and how two differ. */
import type { Preset, Recipe } from './api/types';
import { isSame, shown, type Field, type Look } from './schema';

export interface Difference {
  name: string;
  a: string;
  b: string;
}

/** The value that holds where nothing is set: the look's, else the field's own. */
export function defaultOf(field: Field, overrides: Recipe, looks: Look[]): unknown {
  const look = looks.find(({ name }) => name === overrides['look']);
  return look && field.name in look.values ? look.values[field.name] : field.default;
}

export function valueOf(field: Field, overrides: Recipe, looks: Look[]): unknown {
  return overrides[field.name] ?? defaultOf(field, overrides, looks);
}

/** Sets a value, or forgets it where it is what holds anyway. */
export function withValue(field: Field, value: unknown, overrides: Recipe, looks: Look[]): Recipe {
  const others = without(overrides, field.name);
  const isDefault = value === undefined || value === null || isSame(value, defaultOf(field, others, looks));
  return isDefault ? others : { ...others, [field.name]: value };
}

/** A copy that lacks one name. */
export function without<T>(named: Record<string, T>, name: string): Record<string, T> {
  return Object.fromEntries(Object.entries(named).filter(([other]) => other !== name));
}

/** Whether all that a preset says holds. */
export function hasPreset(overrides: Recipe, preset: Preset): boolean {
  return Object.entries(preset.recipe).every(([name, value]) => isSame(overrides[name], value));
}

/** Takes a preset, or lets go of one that holds: what another one had set goes, what the person has set otherwise stays. */
export function withPreset(overrides: Recipe, preset: Preset, presets: Preset[]): Recipe {
  const names = new Set(['height', ...presets.flatMap(({ recipe }) => Object.keys(recipe))]);
  const rest = Object.fromEntries(Object.entries(overrides).filter(([name]) => !names.has(name)));
  return hasPreset(overrides, preset) ? rest : { ...rest, ...preset.recipe };
}

/** Only what differs from the defaults of a whole recipe, as a job has it; what the look says is not repeated. */
export function overridesOf(recipe: Recipe, fields: Field[], looks: Look[]): Recipe {
  const look = fields.find(({ name }) => name === 'look');
  let overrides: Recipe = {};
  if (look) overrides = withValue(look, recipe['look'], overrides, looks);
  for (const field of fields) {
    if (field.name !== 'look') overrides = withValue(field, recipe[field.name], overrides, looks);
  }
  return overrides;
}

/** The parameters in which two whole recipes differ. */
export function differences(a: Recipe, b: Recipe, names: string[]): Difference[] {
  return names
    .filter((name) => !isSame(a[name], b[name]))
    .map((name) => ({ name, a: shown(a[name]), b: shown(b[name]) }));
}

/** Shares as the service takes them; `undefined` where all are equal, which is the default. */
export function blend(shares: number[]): number[] | undefined {
  if (shares.length < 2 || shares.every((share) => share === shares[0])) return undefined;
  return shares;
}

/** Scales as the service takes them; `undefined` where all are 1. */
export function scales(values: number[]): number[] | undefined {
  return values.every((value) => value === 1) ? undefined : values;
}

/** A value of a list that may hold one number for all. */
export function entry(list: unknown, index: number, otherwise: number): number {
  if (typeof list === 'number') return list;
  if (!Array.isArray(list)) return otherwise;
  const value: unknown = list.length === 1 ? list[0] : list[index];
  return typeof value === 'number' ? value : otherwise;
}

/** Values to vary as typed, "10, 50, 90" or "10..90/5" (so many steps from the one to the other). */
export function valuesToVary(typed: string): string[] {
  const range = /^\s*(-?[\d.]+)\s*\.\.\s*(-?[\d.]+)\s*\/\s*(\d+)\s*$/.exec(typed);
  if (!range)
    return [
      ...new Set(
        typed
          .split(/[,;\n]+/)
          .map((part) => part.trim())
          .filter(Boolean),
      ),
    ];
  const [first, last, count] = [Number(range[1]), Number(range[2]), Math.min(Number(range[3]), 100)];
  if (count < 2) return [shown(first)];
  return Array.from({ length: count }, (_, step) => shown(first + ((last - first) * step) / (count - 1)));
}

/** The field that a warning or an error is about: such sentences begin with its name. */
export function subject(sentence: string, fields: Field[]): string | null {
  const word = /^['"]?([a-z][a-z0-9_]*)/.exec(sentence)?.[1];
  return fields.some(({ name }) => name === word) ? word! : null;
}
