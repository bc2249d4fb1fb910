import { describe, expect, it } from 'vitest';

import type { LossPoint } from './api/types';
import { append, extent, path, thinned } from './curve';

const point = (iteration: number, total: number, content: number | null = null): LossPoint => ({
  iteration,
  total,
  content,
  style: null,
  tv: null,
});

describe('the curve', () => {
  it('falls from the top left to the bottom right', () => {
    expect(path([point(0, 100), point(5, 10), point(10, 1)], 'total', 100, 40)).toBe(
      'M0.0 0.0L50.0 20.0L100.0 40.0',
    );
  });

  it('is empty while there is nothing to draw', () => {
    expect(path([], 'total', 100, 40)).toBe('');
    expect(path([point(1, 5)], 'total', 100, 40)).toBe('');
    expect(path([point(1, 5), point(2, 3)], 'content', 100, 40)).toBe('');
  });

  it('passes over what has no logarithm', () => {
    const points = [point(0, 100), point(1, 0), point(2, NaN), point(3, 1)];
    expect(extent(points, ['total'])).toEqual([1, 100]);
    expect(path(points, 'total', 100, 40)).toBe('M0.0 0.0L100.0 40.0');
  });

  it('replaces points that come again', () => {
    const points = [point(1, 9), point(2, 8), point(3, 7)];
    expect(append(points, point(2, 6)).map(({ iteration, total }) => [iteration, total])).toEqual([
      [1, 9],
      [2, 6],
    ]);
    expect(append(points, point(4, 6))).toHaveLength(4);
  });

  it('keeps the ends of a long run', () => {
    const many = Array.from({ length: 5000 }, (_, index) => index);
    const few = thinned(many, 100);
    expect(few).toHaveLength(100);
    expect(few[0]).toBe(0);
    expect(few.at(-1)).toBe(4999);
  });
});
