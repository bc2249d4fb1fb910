import { expect, test } from 'vitest';

import type { Job } from './api/types';
import { thumbnailOf } from './pictures';

const job = (state: string) => ({ id: 'a', attempt: 1, preview_version: 3, state }) as Job;

test('the thumbnail of a finished picture is another address than that of its last preview', () => {
  expect(thumbnailOf(job('done'))).not.toBe(thumbnailOf(job('running')));
  expect(thumbnailOf(job('done'))).toBe(thumbnailOf(job('done')));
});
