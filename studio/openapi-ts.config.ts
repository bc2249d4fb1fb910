import { defineConfig } from '@hey-api/openapi-ts';

// Types of what is sent only: the client is a few lines of our own around fetch.
export default defineConfig({
  input: '../docs/reference/openapi.json',
  output: { path: 'src/lib/api/generated' },
  parser: { filters: { operations: { exclude: ['/.*/'] }, orphans: true } },
  plugins: ['@hey-api/typescript'],
});
