/** Files of the person, on their way to the service. */
import { ApiError, request } from '../api/client';
import type { Inspection, Picture } from '../api/types';

class Uploads {
  /** How many files are on their way. */
  pending = $state(0);

  /** Sends a picture; the same bytes twice are the same upload. */
  async send(file: File): Promise<Picture> {
    const form = new FormData();
    form.append('file', file, file.name || 'pasted.png');
    this.pending += 1;
    try {
      return await request<Picture>('POST', '/images', { form });
    } finally {
      this.pending -= 1;
    }
  }

  /** The recipe that a picture painted by Impasto carries; null for any other picture. */
  async inspect(picture: Picture): Promise<Inspection | null> {
    try {
      return await request<Inspection>('POST', `/images/${encodeURIComponent(picture.id)}/recipe`);
    } catch (error) {
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) return null;
      throw error;
    }
  }
}

export const uploads = new Uploads();

const EDGE = 2 ** 20;

/** Whether a file may hold a recipe, by the name that each of them begins with; it spares the others a question. */
export async function mayCarryRecipe(file: Blob): Promise<boolean> {
  const edges = [file.slice(0, EDGE), file.slice(Math.max(EDGE, file.size - EDGE))];
  const texts = await Promise.all(edges.map((edge) => edge.arrayBuffer()));
  return texts.some((bytes) => new TextDecoder('latin1').decode(bytes).includes('impasto'));
}

/** The pictures among what was dropped or pasted. */
export function filesOf(transfer: DataTransfer | null): File[] {
  return [...(transfer?.files ?? [])];
}

/** The pictures in the clipboard, asked for by a button: phones have no key for it. */
export async function filesOfClipboard(): Promise<File[]> {
  const items = await navigator.clipboard.read();
  const found = items.flatMap((item) => {
    const type = item.types.find((one) => one.startsWith('image/'));
    return type ? [{ item, type }] : [];
  });
  return Promise.all(
    found.map(
      async ({ item, type }) => new File([await item.getType(type)], `pasted.${type.slice(6)}`, { type }),
    ),
  );
}
