/** Where a picture lies on a stage, at any zoom. A view has no pixels in it, so that two pictures can share one. */

export interface View {
  /** 1 fits the picture into the stage. */
  factor: number;
  /** The point of the picture in the middle of the stage, from 0 to 1. */
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

export interface Box extends Size {
  left: number;
  top: number;
}

export const FIT: View = { factor: 1, x: 0.5, y: 0.5 };
const MIN_FACTOR = 0.25;
/** A pixel of the picture never gets larger than so many of the screen. */
const MAX_SCALE = 32;

/** Pixels of the page for each pixel of the picture when it fits. */
export function fitScale(stage: Size, picture: Size): number {
  return Math.min(stage.width / Math.max(picture.width, 1), stage.height / Math.max(picture.height, 1));
}

export function place(view: View, stage: Size, picture: Size): Box {
  const scale = fitScale(stage, picture) * view.factor;
  const width = picture.width * scale;
  const height = picture.height * scale;
  return { width, height, left: stage.width / 2 - view.x * width, top: stage.height / 2 - view.y * height };
}

/** Zooms by a ratio so that the point of the picture under (`left`, `top`) of the stage stays there. */
export function zoomAt(
  view: View,
  stage: Size,
  picture: Size,
  ratio: number,
  left: number,
  top: number,
): View {
  const before = place(view, stage, picture);
  const most = Math.max(MAX_SCALE / Math.max(fitScale(stage, picture), 1e-6), 1);
  const factor = Math.min(Math.max(view.factor * ratio, MIN_FACTOR), most);
  const grown = factor / view.factor;
  const u = (left - before.left) / Math.max(before.width, 1e-6);
  const v = (top - before.top) / Math.max(before.height, 1e-6);
  return settle({
    factor,
    x: u + (stage.width / 2 - left) / Math.max(before.width * grown, 1e-6),
    y: v + (stage.height / 2 - top) / Math.max(before.height * grown, 1e-6),
  });
}

export function panBy(view: View, stage: Size, picture: Size, dx: number, dy: number): View {
  const { width, height } = place(view, stage, picture);
  return settle({ ...view, x: view.x - dx / Math.max(width, 1e-6), y: view.y - dy / Math.max(height, 1e-6) });
}

/** One pixel of the picture on one of the screen. */
export function actualSize(view: View, stage: Size, picture: Size, pixelRatio: number): View {
  return settle({ ...view, factor: 1 / (fitScale(stage, picture) * pixelRatio) });
}

/** The zoom in percent of the picture's own pixels. */
export function percent(view: View, stage: Size, picture: Size, pixelRatio: number): number {
  return Math.round(fitScale(stage, picture) * view.factor * pixelRatio * 100);
}

/** A picture that fits is centered; one that does not keeps some of itself in the stage. */
function settle(view: View): View {
  if (view.factor <= 1) return { factor: view.factor, x: 0.5, y: 0.5 };
  const clamp = (value: number) => Math.min(Math.max(value, 0), 1);
  return { factor: view.factor, x: clamp(view.x), y: clamp(view.y) };
}
