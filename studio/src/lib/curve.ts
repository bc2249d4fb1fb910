/** The losses of a run as a line: logarithmic, since they fall by factors. */
import type { LossPoint } from './api/types';

export type Term = 'total' | 'content' | 'style' | 'tv';
const MAX_POINTS = 400;

/** Adds a point in order; what comes again (after a reconnect, or a resume from a checkpoint) replaces what was. */
export function append(points: readonly LossPoint[], point: LossPoint): LossPoint[] {
  let end = points.length;
  while (end > 0 && points[end - 1]!.iteration >= point.iteration) end--;
  return [...points.slice(0, end), point];
}

/** At most so many points, the first and the last among them. */
export function thinned<T>(points: readonly T[], most = MAX_POINTS): T[] {
  if (points.length <= most) return [...points];
  const step = (points.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, index) => points[Math.round(index * step)]!);
}

/** An SVG path of one term, within `width` × `height`; empty where there are no two points to join. */
export function path(
  points: readonly LossPoint[],
  term: Term,
  width: number,
  height: number,
  range = extent(points, [term]),
): string {
  const known = thinned(points.filter((point) => isShown(point[term])));
  const first = points[0]?.iteration ?? 0;
  const span = (points.at(-1)?.iteration ?? 0) - first;
  if (known.length < 2 || span <= 0 || !range) return '';
  const [low, high] = range.map(Math.log) as [number, number];
  return known
    .map((point, index) => {
      const x = ((point.iteration - first) / span) * width;
      const y = height - ((Math.log(point[term]!) - low) / Math.max(high - low, 1e-9)) * height;
      return `${index ? 'L' : 'M'}${x.toFixed(1)} ${Math.min(Math.max(y, 0), height).toFixed(1)}`;
    })
    .join('');
}

/** The least and greatest value of some terms; null where there is none. */
export function extent(points: readonly LossPoint[], terms: readonly Term[]): [number, number] | null {
  let low = Infinity;
  let high = -Infinity;
  for (const point of points) {
    for (const term of terms) {
      const value = point[term];
      if (!isShown(value)) continue;
      low = Math.min(low, value!);
      high = Math.max(high, value!);
    }
  }
  return low <= high ? [low, high] : null;
}

function isShown(value: number | null | undefined): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value > 0;
}
