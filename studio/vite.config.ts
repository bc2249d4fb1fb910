import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [svelte()],
  base: './',
  build: {
    outDir: '../src/impasto/studio',
    emptyOutDir: true,
    target: 'es2022',
    // The page's policy allows no data: URL for scripts and styles, and pictures are few.
    assetsInlineLimit: 0,
    // One file, since the whole is smaller than the round trips of its parts.
    modulePreload: false,
    reportCompressedSize: false,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8000' } },
  // A test may take its time: the machine has other things to do, too.
  test: { include: ['src/**/*.test.ts'], environment: 'node', testTimeout: 120_000 },
} as Parameters<typeof defineConfig>[0]);
