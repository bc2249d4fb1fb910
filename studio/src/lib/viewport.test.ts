import { describe, expect, it } from 'vitest';

import { actualSize, FIT, panBy, percent, place, zoomAt } from './viewport';

const stage = { width: 800, height: 600 };
const picture = { width: 400, height: 200 };

describe('viewport', () => {
  it('fits a picture into the stage and centers it', () => {
    expect(place(FIT, stage, picture)).toEqual({ width: 800, height: 400, left: 0, top: 100 });
  });

  it('keeps the point under the pointer where it is', () => {
    const before = place(FIT, stage, picture);
    const after = place(zoomAt(FIT, stage, picture, 2, 200, 250), stage, picture);
    expect((200 - after.left) / after.width).toBeCloseTo((200 - before.left) / before.width);
    expect((250 - after.top) / after.height).toBeCloseTo((250 - before.top) / before.height);
  });

  it('follows the pointer when it pans', () => {
    const zoomed = zoomAt(FIT, stage, picture, 4, 400, 300);
    const moved = panBy(zoomed, stage, picture, 30, -20);
    expect(place(moved, stage, picture).left - place(zoomed, stage, picture).left).toBeCloseTo(30);
    expect(place(moved, stage, picture).top - place(zoomed, stage, picture).top).toBeCloseTo(-20);
  });

  it('does not lose the picture', () => {
    const gone = panBy(zoomAt(FIT, stage, picture, 4, 400, 300), stage, picture, 1e6, 1e6);
    expect(gone.x).toBe(0);
    expect(gone.y).toBe(0);
    expect(zoomAt(FIT, stage, picture, 1e9, 0, 0).factor).toBeLessThan(100);
    expect(zoomAt(FIT, stage, picture, 1e-9, 0, 0).factor).toBeGreaterThan(0.1);
  });

  it('centers again what fits', () => {
    const moved = panBy(zoomAt(FIT, stage, picture, 2, 0, 0), stage, picture, 50, 50);
    expect(zoomAt(moved, stage, picture, 0.5, 10, 10)).toEqual(FIT);
  });

  it('knows one to one on dense screens', () => {
    expect(percent(actualSize(FIT, stage, picture, 2), stage, picture, 2)).toBe(100);
    expect(percent(FIT, stage, picture, 1)).toBe(200);
  });

  it('survives a stage without room', () => {
    const view = zoomAt(FIT, { width: 0, height: 0 }, picture, 2, 0, 0);
    expect(Object.values(view).every(Number.isFinite)).toBe(true);
  });
});
