import { describe, expect, it } from 'vitest';

import {
  fieldsOf,
  grouped,
  isOutOfRange,
  isRefused,
  matching,
  parse,
  shown,
  type Field,
  type JsonSchema,
} from './schema';

const schema: JsonSchema = {
  properties: {
    look: { type: 'string', enum: ['classic', 'bold'], default: 'classic', group: 'Look' },
    strength: {
      type: 'number',
      minimum: 0,
      maximum: 100,
      default: 50,
      group: 'Objective',
      description: 'How much',
    },
    rate: { type: 'number', exclusiveMinimum: 0, maximum: 9, default: 1, group: 'Optimization' },
    blend: {
      anyOf: [{ type: 'array', items: { type: 'number' } }, { type: 'null' }],
      default: null,
      group: 'Objective',
    },
    layers: { anyOf: [{ type: 'object' }, { type: 'null' }], default: null, group: 'Encoder' },
    levels: {
      anyOf: [
        { const: 'auto', type: 'string' },
        { type: 'integer', minimum: 1, maximum: 16 },
      ],
      default: 'auto',
    },
    budget: { anyOf: [{ type: 'integer', minimum: 0 }, { type: 'null' }], default: null },
    tileable: { type: 'boolean', default: false },
    changes: { type: 'array', is_option: false },
  },
};
const fields = fieldsOf(schema, ['strength']);
const field = (name: string): Field => fields.find((one) => one.name === name)!;

describe('fields of the schema', () => {
  it('take their kind from the types', () => {
    expect(fields.map(({ name, kind }) => `${name} ${kind}`)).toEqual([
      'look choice',
      'strength number',
      'rate number',
      'blend numbers',
      'layers layers',
      'levels text',
      'budget integer',
      'tileable boolean',
    ]);
  });

  it('know ranges, choices and what can change on the way', () => {
    expect(field('strength')).toMatchObject({ minimum: 0, maximum: 100, isLive: true, isNullable: false });
    expect(field('levels')).toMatchObject({ choices: ['auto'], isOpen: true, minimum: 1 });
    expect(field('budget').isNullable).toBe(true);
    expect(isOutOfRange(field('rate'), 0)).toBe(true);
    expect(isOutOfRange(field('rate'), 0.1)).toBe(false);
    expect(isOutOfRange(field('strength'), 101)).toBe(true);
  });

  it('come in groups, in the order of the schema', () => {
    expect(grouped(fields).map(({ group }) => group)).toEqual([
      'Look',
      'Objective',
      'Optimization',
      'Encoder',
      '',
    ]);
  });

  it('are found by any of their words', () => {
    const words = (one: Field) => one.help;
    expect(matching(fields, 'MUCH how', words).map(({ name }) => name)).toEqual(['strength']);
    expect(matching(fields, 'nowhere', words)).toEqual([]);
  });
});

describe('typed values', () => {
  it('become what the service takes', () => {
    expect(parse(field('strength'), ' 70 ')).toBe(70);
    expect(parse(field('strength'), '0,5')).toBe(0.5);
    expect(parse(field('strength'), '')).toBeUndefined();
    expect(parse(field('blend'), '0.7, 0.3')).toEqual([0.7, 0.3]);
    expect(parse(field('levels'), '3')).toBe(3);
    expect(parse(field('levels'), 'auto')).toBe('auto');
    expect(parse(field('layers'), 'relu1_1:1')).toBe('relu1_1:1');
  });

  it('are known to be refused where the schema says so', () => {
    const refused = (name: string, typed: string) => isRefused(field(name), parse(field(name), typed));
    expect(refused('strength', '70')).toBe(false);
    expect(refused('strength', '250')).toBe(true);
    expect(refused('strength', 'much')).toBe(true);
    expect(refused('levels', '3')).toBe(false);
    expect(refused('levels', 'auto')).toBe(false);
  });

  it('go to the service as they are where they make no sense, for its own sentence', () => {
    expect(parse(field('strength'), 'much')).toBe('much');
  });

  it('are shown as they are typed', () => {
    expect(shown([0.7, 0.3])).toBe('0.7, 0.3');
    expect(shown({ relu1_1: 1, relu2_1: 0.5 })).toBe('relu1_1:1, relu2_1:0.5');
    expect(shown(null)).toBe('');
    expect(shown(0.1 + 0.2)).toBe('0.3');
  });
});
