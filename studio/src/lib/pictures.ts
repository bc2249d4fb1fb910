/** Addresses of pictures that change: with the version in them, so that no cache shows an old one. */
import { address } from './api/client';
import type { Job, Picture } from './api/types';

/** The latest picture of a job: small while it paints, as it is in the end; null before the first preview. */
export function previewOf(job: Job | undefined): string | null {
  if (!job) return null;
  if (job.result_url) return address(job.result_url, { v: `${job.attempt}-${job.preview_version}` });
  return job.preview_version ? job.preview_url : null;
}

export function thumbnailOf(job: Job, size: 128 | 256 | 512 = 256): string | null {
  if (!job.preview_version) return null;
  // Not the job's own address, which is as old as its last change of state.
  // The finished picture has the number of the last preview, and must not be taken for it.
  const version = `${job.attempt}-${job.state}`;
  return address(`/jobs/${job.id}/thumbnail`, { size, version: job.preview_version, v: version });
}

export function thumbnail(picture: Picture, size: 128 | 256 | 512 | 1024 = 256): string {
  return address(picture.thumbnail_url, { size });
}
