/** The masks of the draft: one for each style, and one that keeps the photo. Painted here, uploaded when painted with. */
import { request } from '../api/client';
import type { Picture } from '../api/types';
import { grayOf, Mask, maskSize, remainder } from '../mask';

export const LOCK = 'lock';
/** Of the masks among the uploads, which are nothing to paint or paint from. */
export const MASK_NAME = 'impasto-mask.png';

interface Layer {
  mask: Mask;
  /** The version of it that the service has, and under which id. */
  uploaded: { version: number; id: string } | null;
}

class Masks {
  /** Rises with every stroke; what shows masks depends on it. */
  version = $state(0);
  readonly #layers = new Map<string, Layer>();
  readonly #versions = new Map<string, number>();

  get(key: string): Mask | undefined {
    void this.version;
    return this.#layers.get(key)?.mask;
  }

  /** Whether anything is painted on a layer. */
  isPainted(key: string): boolean {
    const mask = this.get(key);
    return mask !== undefined && !mask.isEmpty;
  }

  ensure(key: string, width: number, height: number): Mask {
    const size = maskSize(width, height);
    const known = this.#layers.get(key);
    if (known && known.mask.width === size.width && known.mask.height === size.height) return known.mask;
    const mask = new Mask(size.width, size.height);
    this.#layers.set(key, { mask, uploaded: null });
    return mask;
  }

  /** To be called after each change of a mask. */
  touch(key: string): void {
    this.#versions.set(key, (this.#versions.get(key) ?? 0) + 1);
    this.version += 1;
  }

  drop(key: string): void {
    this.#layers.delete(key);
    this.touch(key);
  }

  /** What the service has of the masks as they are, by layer: what a reload can bring back. */
  get known(): Record<string, string> {
    void this.version;
    const known = [...this.#layers].flatMap(([key, { uploaded }]) =>
      uploaded && uploaded.version === (this.#versions.get(key) ?? 0) ? [[key, uploaded.id] as const] : [],
    );
    return Object.fromEntries(known);
  }

  /** Empties all layers; gives what brings them back, or null where nothing was painted. */
  dropAll(): (() => void) | null {
    const dropped = [...this.#layers];
    for (const [key] of dropped) this.drop(key);
    if (dropped.every(([, { mask }]) => mask.isEmpty)) return null;
    return () => {
      for (const [key, layer] of dropped) {
        this.#layers.set(key, layer);
        this.touch(key);
      }
    };
  }

  /** Takes a mask that the service has. */
  async fetch(key: string, picture: Picture, width: number, height: number): Promise<void> {
    const size = maskSize(width, height);
    const response = await fetch(picture.file_url);
    const gray = await grayOfFile(await response.blob(), size.width, size.height);
    this.#layers.set(key, { mask: new Mask(size.width, size.height, gray), uploaded: null });
    this.touch(key);
    this.#layers.get(key)!.uploaded = { version: this.#versions.get(key)!, id: picture.id };
  }

  /** The masks of some layers as ids of uploads; layers without paint take what the others leave. */
  async upload(keys: string[]): Promise<string[] | undefined> {
    const painted = keys.filter((key) => this.isPainted(key));
    if (painted.length === 0) return undefined;
    const masks = painted.map((key) => this.#layers.get(key)!.mask);
    return Promise.all(
      keys.map((key) => (painted.includes(key) ? this.#uploaded(key) : uploadedRest(masks))),
    );
  }

  async #uploaded(key: string): Promise<string> {
    const layer = this.#layers.get(key)!;
    const version = this.#versions.get(key) ?? 0;
    if (layer.uploaded?.version !== version) {
      layer.uploaded = { version, id: await send(layer.mask.data, layer.mask.width, layer.mask.height) };
      this.version += 1;
    }
    return layer.uploaded.id;
  }
}

async function uploadedRest(masks: Mask[]): Promise<string> {
  const { width, height } = masks[0]!;
  return send(remainder(masks, width, height), width, height);
}

async function send(gray: Uint8Array, width: number, height: number): Promise<string> {
  const form = new FormData();
  form.append('file', await pngOf(gray, width, height), MASK_NAME);
  return (await request<Picture>('POST', '/images', { form })).id;
}

export async function pngOf(gray: Uint8Array, width: number, height: number): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const pixels = new ImageData(width, height);
  const words = new Uint32Array(pixels.data.buffer);
  for (let index = 0; index < gray.length; index++) words[index] = (gray[index]! * 0x010101) | 0xff000000;
  canvas.getContext('2d')!.putImageData(pixels, 0, 0);
  return canvas.convertToBlob({ type: 'image/png' });
}

export async function grayOfFile(file: Blob, width: number, height: number): Promise<Uint8Array> {
  const bitmap = await createImageBitmap(file);
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return grayOf(context.getImageData(0, 0, width, height).data);
}

export const masks = new Masks();
