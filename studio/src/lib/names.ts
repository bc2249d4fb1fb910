/** What a job is called: its name, or what it is made of. */
import type { Job, Picture } from './api/types';

export function pictureName(picture: Picture | null | undefined): string {
  if (!picture) return '';
  const example = picture.id.startsWith('example:') ? picture.id.slice(8) : null;
  return example ? example.charAt(0).toUpperCase() + example.slice(1) : picture.name;
}

/** Without the suffix of its file, which says nothing to a person. */
export function bareName(picture: Picture | null | undefined): string {
  return pictureName(picture).replace(/\.[A-Za-z0-9]{1,5}$/, '');
}

export function jobName(job: Job | undefined): string {
  if (!job) return '';
  if (job.name) return job.name;
  const styles = job.styles.map(bareName).join(' + ');
  return [bareName(job.content), styles].filter(Boolean).join(' × ') || job.id;
}

/** How far it is, from 0 to 1. */
export function progressOf(job: Job): number {
  if (job.kind !== 'picture') return (job.num_done ?? 0) / Math.max(job.num_cells ?? 0, 1);
  if (job.state === 'done') return 1;
  return Math.min(job.iteration / Math.max(job.total_iterations ?? 0, 1), 1);
}
