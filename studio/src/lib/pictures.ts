/** Addresses of pictures that change: with the version in them, so that no cache shows an old one. */
import { address } from './api/client';
import type { Job, Picture } from './api/types';

/** The latest picture of a job at its own size; null before the first preview. */
export function previewOf(job: Job | undefined): string | null {
  if (!job?.preview_url || !job.preview_version) return null;
  return versioned(job.preview_url, job);
}

export function thumbnailOf(job: Job, size: 128 | 256 | 512 = 256): string | null {
  if (!job.preview_version) return null;
  return address(job.thumbnail_url ?? `/jobs/${job.id}/thumbnail`, { size, v: job.preview_version });
}

export function thumbnail(picture: Picture, size: 128 | 256 | 512 | 1024 = 256): string {
  return address(picture.thumbnail_url, { size });
}

function versioned(url: string, job: Job): string {
  return url.includes('v=') ? url : address(url, { v: job.preview_version });
}
