/** Where the page is, as the part of its address after #: it survives a reload and works with the back button. */

export type Place =
  | { view: 'paint'; job: string | null }
  | { view: 'masks' }
  | { view: 'gallery'; first: string | null }
  | { view: 'compare'; a: string; b: string }
  | { view: 'sweep' };

export function placeOf(hash: string): Place {
  const [, view, first, second] = hash.replace(/^#/, '').split('/').map(decodeURIComponent);
  if (view === 'job' && first) return { view: 'paint', job: first };
  if (view === 'compare' && first && second) return { view: 'compare', a: first, b: second };
  if (view === 'gallery') return { view, first: first ?? null };
  if (view === 'sweep' || view === 'masks') return { view };
  return { view: 'paint', job: null };
}

export const to = {
  paint: () => '#/',
  job: (id: string) => `#/job/${encodeURIComponent(id)}`,
  masks: () => '#/masks',
  /** With the id of a picture that another one is sought for, to compare with. */
  gallery: (first?: string) => (first ? `#/gallery/${encodeURIComponent(first)}` : '#/gallery'),
  compare: (a: string, b: string) => `#/compare/${encodeURIComponent(a)}/${encodeURIComponent(b)}`,
  sweep: () => '#/sweep',
};

class Router {
  place = $state.raw<Place>(placeOf(typeof location === 'undefined' ? '' : location.hash));

  start(): () => void {
    const follow = () => (this.place = placeOf(location.hash));
    window.addEventListener('hashchange', follow);
    return () => window.removeEventListener('hashchange', follow);
  }
}

export const router = new Router();

export function go(hash: string): void {
  location.hash = hash;
}
