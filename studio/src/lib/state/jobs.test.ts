import { expect, test } from 'vitest';

import type { Job } from '../api/types';
import { jobs } from './jobs.svelte';

const job = (revision: number, state: string) => ({ id: 'a', kind: 'picture', revision, state }) as Job;

test('an answer that an event has overtaken changes nothing', () => {
  jobs.put(job(1, 'running'));
  jobs.put(job(3, 'paused'));
  jobs.put(job(2, 'running'));
  expect(jobs.byId.get('a')?.state).toBe('paused');
  jobs.put(job(4, 'running'));
  expect(jobs.byId.get('a')?.state).toBe('running');
});
