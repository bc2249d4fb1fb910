import { describe, expect, it } from 'vitest';

import {
  blend,
  defaultOf,
  differences,
  entry,
  hasPreset,
  overridesOf,
  scales,
  subject,
  valuesToVary,
  withPreset,
  withValue,
} from './recipe';
import { fieldsOf, type Look } from './schema';

const fields = fieldsOf({
  properties: {
    look: { type: 'string', enum: ['painterly', 'bold'], default: 'painterly' },
    strength: { type: 'number', default: 40 },
    style_scale: { type: 'array', default: [1] },
    seed: { type: 'integer', default: 0 },
  },
});
const looks: Look[] = [
  { name: 'painterly', summary: '', values: { strength: 40 } },
  { name: 'bold', summary: '', values: { strength: 75 } },
];
const strength = fields[1]!;

describe('what a person changed', () => {
  it('is measured from the look', () => {
    expect(defaultOf(strength, { look: 'bold' }, looks)).toBe(75);
    expect(withValue(strength, 75, { look: 'bold' }, looks)).toEqual({ look: 'bold' });
    expect(withValue(strength, 40, { look: 'bold' }, looks)).toEqual({ look: 'bold', strength: 40 });
  });

  it('is forgotten when it is set back', () => {
    expect(withValue(strength, undefined, { strength: 90, seed: 3 }, looks)).toEqual({ seed: 3 });
  });

  it('is found again in a whole recipe', () => {
    const recipe = { look: 'bold', strength: 75, style_scale: [1.0], seed: 7 };
    expect(overridesOf(recipe, fields, looks)).toEqual({ look: 'bold', seed: 7 });
  });
});

it('names what two recipes differ in', () => {
  const names = fields.map(({ name }) => name);
  expect(differences({ strength: 40, style_scale: [1] }, { strength: 50, style_scale: 1 }, names)).toEqual([
    { name: 'strength', a: '40', b: '50' },
  ]);
});

it('sends shares and scales only where they say something', () => {
  expect(blend([1])).toBeUndefined();
  expect(blend([0.5, 0.5])).toBeUndefined();
  expect(blend([0.7, 0.3])).toEqual([0.7, 0.3]);
  expect(scales([1, 1])).toBeUndefined();
  expect(scales([1, 2])).toEqual([1, 2]);
  expect([entry([2], 1, 1), entry([1, 2], 1, 1), entry(null, 0, 1)]).toEqual([2, 2, 1]);
});

it('reads the values of a sweep', () => {
  expect(valuesToVary('10, 50,90, 50')).toEqual(['10', '50', '90']);
  expect(valuesToVary('0..1/5')).toEqual(['0', '0.25', '0.5', '0.75', '1']);
  expect(valuesToVary(' gram ; neighbors ')).toEqual(['gram', 'neighbors']);
});

it('knows what a sentence of the service is about', () => {
  expect(subject('seed has no effect: init_method is content, which draws no noise.', fields)).toBe('seed');
  expect(subject('Nothing of the kind.', fields)).toBeNull();
});

describe('a preset', () => {
  const sketch = { name: 'sketch', summary: '', recipe: { size: 384, total_iterations: 120 } };
  const fine = { name: 'fine', summary: '', recipe: { size: 1500, finish: 'vgg19:8' } };
  const presets = [sketch, fine];

  it('holds where all that it says holds', () => {
    expect(hasPreset({ size: 384, total_iterations: 120, seed: 3 }, sketch)).toBe(true);
    expect(hasPreset({ size: 384 }, sketch)).toBe(false);
  });

  it('takes the place of another one, and leaves what the person has set', () => {
    const before = withPreset({ strength: 70, preserve_color: 'luminance', height: 900 }, sketch, presets);
    expect(before).toEqual({
      strength: 70,
      preserve_color: 'luminance',
      size: 384,
      total_iterations: 120,
    });
    expect(withPreset(before, fine, presets)).toEqual({
      strength: 70,
      preserve_color: 'luminance',
      size: 1500,
      finish: 'vgg19:8',
    });
  });

  it('is let go by a second choice', () => {
    expect(withPreset({ size: 384, total_iterations: 120, seed: 3 }, sketch, presets)).toEqual({ seed: 3 });
  });
});
