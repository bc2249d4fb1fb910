/** Form fields from the recipe's JSON schema: the one place where a parameter's type, range and default are known. */
import type { Recipe } from './api/types';

export type Kind = 'number' | 'integer' | 'boolean' | 'choice' | 'text' | 'numbers' | 'layers';

export interface Field {
  name: string;
  group: string;
  kind: Kind;
  help: string;
  unit: string;
  default: unknown;
  isNullable: boolean;
  choices: string[];
  /** Whether something else than the choices may be typed. */
  isOpen: boolean;
  minimum?: number;
  maximum?: number;
  isMinimumExcluded: boolean;
  isMaximumExcluded: boolean;
  isLive: boolean;
}

interface Node {
  type?: string;
  title?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Node[];
  items?: Node;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  group?: string;
  unit?: string;
  is_option?: boolean;
}

export interface Look {
  name: string;
  summary: string;
  values: Recipe;
}

export interface JsonSchema {
  properties: Record<string, Node>;
}

export function fieldsOf(schema: JsonSchema, liveTunable: string[] = []): Field[] {
  return Object.entries(schema.properties)
    .filter(([, node]) => node.is_option !== false)
    .map(([name, node]) => fieldOf(name, node, liveTunable.includes(name)));
}

function fieldOf(name: string, node: Node, isLive: boolean): Field {
  const branches = (node.anyOf ?? [node]).filter((branch) => branch.type !== 'null');
  const choices = branches.flatMap(
    (branch) => branch.enum ?? (branch.const === undefined ? [] : [branch.const]),
  );
  const limits =
    branches.find((branch) => branch.type === 'number' || branch.type === 'integer') ?? branches[0] ?? {};
  return {
    name,
    group: node.group ?? '',
    kind: kindOf(branches, choices.length > 0),
    help: node.description ?? '',
    unit: node.unit ?? '',
    default: node.default,
    isNullable: Boolean(node.anyOf?.some((branch) => branch.type === 'null')),
    choices: choices.map(String),
    isOpen: choices.length > 0 && branches.length > 1,
    minimum: limits.minimum ?? limits.exclusiveMinimum,
    maximum: limits.maximum ?? limits.exclusiveMaximum,
    isMinimumExcluded: limits.exclusiveMinimum !== undefined,
    isMaximumExcluded: limits.exclusiveMaximum !== undefined,
    isLive,
  };
}

function kindOf(branches: Node[], hasChoices: boolean): Kind {
  if (hasChoices) return branches.length > 1 ? 'text' : 'choice';
  const type = branches[0]?.type;
  if (type === 'array') return 'numbers';
  if (type === 'object') return 'layers';
  return type === 'number' || type === 'integer' || type === 'boolean' ? type : 'text';
}

/** What a person typed as a value of the recipe; `undefined` where the field is left empty: its default holds. */
export function parse(field: Field, typed: string): unknown {
  const text = typed.trim();
  if (!text) return undefined;
  if (field.kind === 'number' || field.kind === 'integer') {
    const number = Number(text.replace(',', '.'));
    return Number.isNaN(number) ? text : number; // what is no number is refused by the service, in its own sentence
  }
  if (field.kind === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  if (field.kind === 'numbers') {
    const numbers = text
      .split(/[,;\s]+/)
      .filter(Boolean)
      .map(Number);
    return numbers.some(Number.isNaN) ? text : numbers;
  }
  if (field.isOpen && /^\d+$/.test(text)) return Number(text);
  return text;
}

/** A value of the recipe as a person would type it. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(shown).join(', ');
  if (typeof value === 'object') {
    return Object.entries(value as Record<string, unknown>)
      .map(([name, part]) => `${name}:${shown(part)}`)
      .join(', ');
  }
  return typeof value === 'number' ? String(Math.round(value * 1e6) / 1e6) : String(value);
}

/** Whether two values of the recipe mean the same. */
export function isSame(a: unknown, b: unknown): boolean {
  return shown(a) === shown(b);
}

/** What is wrong with a value as far as the schema tells; the service has the last word. */
export function isOutOfRange(field: Field, value: unknown): boolean {
  if (typeof value !== 'number') return false;
  const { minimum = -Infinity, maximum = Infinity, isMinimumExcluded, isMaximumExcluded } = field;
  return (
    value < minimum ||
    value > maximum ||
    (isMinimumExcluded && value === minimum) ||
    (isMaximumExcluded && value === maximum)
  );
}

/** Whether a value as parsed is refused by the service, as far as the schema tells. */
export function isRefused(field: Field, value: unknown): boolean {
  const isNumber = field.kind === 'number' || field.kind === 'integer';
  if (isNumber && !field.isOpen && typeof value !== 'number') return true;
  if (field.kind === 'integer' && typeof value === 'number' && !Number.isInteger(value)) return true;
  if (field.kind === 'boolean' && typeof value !== 'boolean') return true;
  if (field.choices.length > 0 && !field.isOpen && !field.choices.includes(String(value))) return true;
  return isOutOfRange(field, value);
}

/** Fields whose name, title or help hold every word that was typed. */
export function matching(fields: Field[], typed: string, words: (field: Field) => string): Field[] {
  const wanted = typed.toLowerCase().split(/\s+/).filter(Boolean);
  return fields.filter((field) => {
    const all = `${field.name} ${field.name.replaceAll('_', '-')} ${words(field)}`.toLowerCase();
    return wanted.every((word) => all.includes(word));
  });
}

export function grouped(fields: Field[]): { group: string; fields: Field[] }[] {
  const groups = new Map<string, Field[]>();
  for (const field of fields) groups.set(field.group, [...(groups.get(field.group) ?? []), field]);
  return [...groups].map(([group, members]) => ({ group, fields: members }));
}
