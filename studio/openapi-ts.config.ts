import { defineConfig } from '@hey-api/openapi-ts';

// Types only: the client is a few lines of our own around fetch.
export default defineConfig({
  input: '../docs/reference/openapi.json',
  output: { path: 'src/lib/api/generated' },
  plugins: ['@hey-api/typescript'],
});
