import { describe, expect, it } from 'vitest';

import { coverage, grayOf, Mask, MAX_EDGE, maskSize, remainder, type Brush } from './mask';

const brush: Brush = { size: 10, softness: 0, isEraser: false };
const at = (mask: Mask, x: number, y: number) => mask.data[y * mask.width + x];

describe('a mask', () => {
  it('is white where the brush went and nowhere else', () => {
    const mask = new Mask(50, 40);
    mask.begin({ x: 10, y: 20 }, brush);
    mask.move({ x: 40, y: 20 }, brush);
    mask.end();
    expect(at(mask, 25, 20)).toBe(255);
    expect(at(mask, 25, 24)).toBeGreaterThan(0);
    expect(at(mask, 25, 30)).toBe(0);
    expect(at(mask, 2, 20)).toBe(0);
  });

  it('takes the right values of a soft brush, and keeps them when a stroke crosses itself', () => {
    const soft = { ...brush, size: 20, softness: 1 };
    const once = new Mask(60, 60);
    once.begin({ x: 30, y: 30 }, soft);
    once.end();
    const often = new Mask(60, 60);
    often.begin({ x: 30, y: 30 }, soft);
    for (let i = 0; i < 20; i++) often.move({ x: 30, y: 30 }, soft);
    often.end();
    expect(often.data).toEqual(once.data);
    expect(at(once, 30, 30)).toBeGreaterThan(250);
    expect(at(once, 35, 30)).toBeGreaterThan(60);
    expect(at(once, 35, 30)).toBeLessThan(200);
  });

  it('is erased', () => {
    const mask = new Mask(30, 30);
    mask.apply(() => 255);
    mask.begin({ x: 15, y: 15 }, { ...brush, isEraser: true });
    mask.end();
    expect(at(mask, 15, 15)).toBe(0);
    expect(at(mask, 1, 1)).toBe(255);
  });

  it('goes back and forth step by step', () => {
    const mask = new Mask(50, 50);
    const states = [new Uint8Array(mask.data)];
    for (let step = 0; step < 5; step++) {
      mask.begin({ x: 8 * step, y: 10 }, brush);
      mask.move({ x: 8 * step + 5, y: 45 }, brush);
      mask.end();
      states.push(new Uint8Array(mask.data));
    }
    for (let step = 4; step >= 0; step--) {
      mask.undo();
      expect(mask.data).toEqual(states[step]);
    }
    expect(mask.canUndo).toBe(false);
    for (let step = 1; step <= 5; step++) {
      mask.redo();
      expect(mask.data).toEqual(states[step]);
    }
    expect(mask.canRedo).toBe(false);
  });

  it('forgets what was undone once something else is drawn', () => {
    const mask = new Mask(20, 20);
    mask.apply(() => 255);
    mask.undo();
    mask.begin({ x: 5, y: 5 }, brush);
    mask.end();
    expect(mask.canRedo).toBe(false);
  });

  it('takes back a stroke that was abandoned, without a dab left', () => {
    const mask = new Mask(20, 20);
    mask.begin({ x: 5, y: 5 }, brush);
    mask.abandon();
    expect(mask.isEmpty).toBe(true);
    expect(mask.canUndo).toBe(false);
  });

  it('takes strokes that leave the picture', () => {
    const mask = new Mask(20, 20);
    mask.begin({ x: 10, y: 10 }, brush);
    mask.move({ x: 500, y: -300 }, brush);
    expect(mask.move({ x: 600, y: -400 }, brush)).toBeNull();
    mask.move({ x: 10, y: 15 }, brush);
    mask.end();
    mask.undo();
    expect(mask.isEmpty).toBe(true);
  });

  it('holds a bounded history', () => {
    const mask = new Mask(1200, 1200);
    for (let step = 0; step < 24; step++) mask.apply((value) => 255 - value);
    let undone = 0;
    while (mask.undo()) undone++;
    expect(undone).toBeGreaterThan(0);
    expect(undone).toBeLessThan(24);
  });

  it('is no larger than needed, in the shape of the picture', () => {
    expect(maskSize(4000, 3000)).toEqual({ width: MAX_EDGE, height: (MAX_EDGE * 3) / 4 });
    expect(maskSize(300, 200)).toEqual({ width: 300, height: 200 });
  });
});

describe('coverage', () => {
  it('falls from the middle to the edge and never rises', () => {
    for (const softness of [0, 0.3, 1]) {
      const values = Array.from({ length: 40 }, (_, distance) => coverage(distance / 2, 10, softness));
      expect(values[0]).toBe(255);
      expect(values.at(-1)).toBe(0);
      values.slice(1).forEach((value, index) => expect(value).toBeLessThanOrEqual(values[index]!));
    }
  });
});

it('gives what nothing was painted for to the rest', () => {
  const mask = new Mask(4, 1, Uint8Array.from([255, 128, 0, 0]));
  const other = new Mask(4, 1, Uint8Array.from([0, 0, 255, 0]));
  expect([...remainder([mask, other], 4, 1)]).toEqual([0, 127, 0, 255]);
});

it('reads pictures as masks: light is inside, transparent is outside', () => {
  const pixels = [255, 255, 255, 255, 0, 0, 0, 255, 255, 255, 255, 0];
  expect([...grayOf(Uint8ClampedArray.from(pixels))]).toEqual([255, 0, 0]);
});
