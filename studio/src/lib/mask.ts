/** Painting of masks: gray pictures, 255 inside, without any canvas, so that it can be tested and is fast. */

export interface Rect {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Brush {
  /** Diameter in pixels of the mask. */
  size: number;
  /** 0 is a hard edge, 1 falls off from the middle. */
  softness: number;
  isEraser: boolean;
}

export interface Point {
  x: number;
  y: number;
}

interface Step {
  rect: Rect;
  before: Uint8Array;
  after: Uint8Array;
}

/** Longest edge of a mask: losses look at masks on the grids of layers, so that more is only slower. */
export const MAX_EDGE = 2048;
/** What undo may hold, in bytes; the oldest steps go first. */
const MAX_HISTORY = 48 * 2 ** 20;

export function maskSize(width: number, height: number): { width: number; height: number } {
  const scale = Math.min(1, MAX_EDGE / Math.max(width, height, 1));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** How much of a dab is left at a distance from its middle line, from 0 to 255. */
export function coverage(distance: number, radius: number, softness: number): number {
  const inner = Math.min(radius * (1 - softness), radius - 0.5); // even a hard edge is smooth over a pixel
  if (distance <= inner) return 255;
  const outer = Math.max(radius, inner + 1);
  if (distance >= outer) return 0;
  const part = (outer - distance) / (outer - inner);
  return Math.round(255 * part * part * (3 - 2 * part));
}

export class Mask {
  readonly data: Uint8Array;
  #undo: Step[] = [];
  #redo: Step[] = [];
  /** The layer before the stroke that is being drawn, and how far the stroke covers it. */
  #stroke: { base: Uint8Array; cover: Uint8Array; last: Point; rect: Rect | null } | null = null;

  constructor(
    readonly width: number,
    readonly height: number,
    data?: Uint8Array,
  ) {
    this.data = data ? new Uint8Array(data) : new Uint8Array(width * height);
  }

  get canUndo(): boolean {
    return this.#undo.length > 0;
  }

  get canRedo(): boolean {
    return this.#redo.length > 0;
  }

  get isEmpty(): boolean {
    for (let index = 0; index < this.data.length; index++) if (this.data[index]! > 1) return false;
    return true;
  }

  /** Starts a stroke with a dab. Returns what changed. */
  begin(point: Point, brush: Brush): Rect | null {
    this.end();
    const cover = new Uint8Array(this.data.length);
    this.#stroke = { base: new Uint8Array(this.data), cover, last: point, rect: null };
    return this.move(point, brush);
  }

  /** Draws on to a point. A stroke over itself does not add up: its softness stays what the brush says. */
  move(point: Point, brush: Brush): Rect | null {
    const stroke = this.#stroke;
    if (!stroke) return null;
    const { base, cover, last } = stroke;
    const radius = Math.max(brush.size / 2, 0.5);
    const rect = this.#clip(bounds(last, point, radius + 1));
    stroke.last = point;
    if (!rect) return null;
    const dx = point.x - last.x;
    const dy = point.y - last.y;
    const squared = dx * dx + dy * dy || 1;
    for (let y = rect.top; y < rect.top + rect.height; y++) {
      for (let x = rect.left; x < rect.left + rect.width; x++) {
        const px = x + 0.5 - last.x;
        const py = y + 0.5 - last.y;
        const along = Math.min(Math.max((px * dx + py * dy) / squared, 0), 1);
        const amount = coverage(Math.hypot(px - along * dx, py - along * dy), radius, brush.softness);
        const index = y * this.width + x;
        if (amount <= cover[index]!) continue;
        cover[index] = amount;
        const value = base[index]!;
        this.data[index] = Math.round(
          brush.isEraser ? (value * (255 - amount)) / 255 : value + ((255 - value) * amount) / 255,
        );
      }
    }
    stroke.rect = union(stroke.rect, rect);
    return rect;
  }

  /** Ends the stroke, which from then on can be undone. */
  end(): void {
    const stroke = this.#stroke;
    this.#stroke = null;
    if (stroke?.rect) this.#remember(stroke.rect, cut(stroke.base, this.width, stroke.rect));
  }

  /** Takes back the stroke that is being drawn, as when a second finger turns it into a pinch. */
  abandon(): Rect | null {
    const stroke = this.#stroke;
    this.#stroke = null;
    if (!stroke?.rect) return null;
    paste(this.data, this.width, stroke.rect, cut(stroke.base, this.width, stroke.rect));
    return stroke.rect;
  }

  /** Changes every pixel in one step that can be undone. */
  apply(change: (value: number, index: number) => number): Rect {
    this.end();
    const rect = { left: 0, top: 0, width: this.width, height: this.height };
    const before = new Uint8Array(this.data);
    for (let index = 0; index < before.length; index++) this.data[index] = change(before[index]!, index);
    this.#remember(rect, before);
    return rect;
  }

  undo(): Rect | null {
    return this.#travel(this.#undo, this.#redo, 'before');
  }

  redo(): Rect | null {
    return this.#travel(this.#redo, this.#undo, 'after');
  }

  #travel(from: Step[], to: Step[], state: 'before' | 'after'): Rect | null {
    this.end();
    const step = from.pop();
    if (!step) return null;
    to.push(step);
    paste(this.data, this.width, step.rect, step[state]);
    return step.rect;
  }

  #remember(rect: Rect, before: Uint8Array): void {
    this.#undo.push({ rect, before, after: cut(this.data, this.width, rect) });
    this.#redo = [];
    const bytes = () => this.#undo.reduce((sum, step) => sum + 2 * step.before.length, 0);
    while (this.#undo.length > 1 && bytes() > MAX_HISTORY) this.#undo.shift();
  }

  #clip(rect: Rect): Rect | null {
    const left = Math.max(0, Math.floor(rect.left));
    const top = Math.max(0, Math.floor(rect.top));
    const right = Math.min(this.width, Math.ceil(rect.left + rect.width));
    const bottom = Math.min(this.height, Math.ceil(rect.top + rect.height));
    return right > left && bottom > top ? { left, top, width: right - left, height: bottom - top } : null;
  }
}

/** What no mask of a list covers: the region of a style that nothing was painted for. */
export function remainder(masks: Mask[], width: number, height: number): Uint8Array {
  const rest = new Uint8Array(width * height).fill(255);
  for (const { data } of masks) {
    for (let index = 0; index < rest.length; index++)
      rest[index] = Math.min(rest[index]!, 255 - data[index]!);
  }
  return rest;
}

/** The gray values of a picture, as loaded from a file; what is transparent is outside. */
export function grayOf(rgba: Uint8ClampedArray): Uint8Array {
  const gray = new Uint8Array(rgba.length / 4);
  for (let index = 0; index < gray.length; index++) {
    const first = 4 * index;
    const light = 0.2126 * rgba[first]! + 0.7152 * rgba[first + 1]! + 0.0722 * rgba[first + 2]!;
    gray[index] = Math.round((light * rgba[first + 3]!) / 255);
  }
  return gray;
}

function bounds(from: Point, to: Point, radius: number): Rect {
  const left = Math.min(from.x, to.x) - radius;
  const top = Math.min(from.y, to.y) - radius;
  return {
    left,
    top,
    width: Math.max(from.x, to.x) + radius - left,
    height: Math.max(from.y, to.y) + radius - top,
  };
}

export function union(a: Rect | null, b: Rect | null): Rect | null {
  if (!a || !b) return a ?? b;
  const left = Math.min(a.left, b.left);
  const top = Math.min(a.top, b.top);
  return {
    left,
    top,
    width: Math.max(a.left + a.width, b.left + b.width) - left,
    height: Math.max(a.top + a.height, b.top + b.height) - top,
  };
}

function cut(data: Uint8Array, width: number, rect: Rect): Uint8Array {
  const part = new Uint8Array(rect.width * rect.height);
  for (let row = 0; row < rect.height; row++) {
    const start = (rect.top + row) * width + rect.left;
    part.set(data.subarray(start, start + rect.width), row * rect.width);
  }
  return part;
}

function paste(data: Uint8Array, width: number, rect: Rect, part: Uint8Array): void {
  for (let row = 0; row < rect.height; row++) {
    const start = (rect.top + row) * width + rect.left;
    data.set(part.subarray(row * rect.width, (row + 1) * rect.width), start);
  }
}
