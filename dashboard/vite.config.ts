// Builds the page into dist/dashboard. Addresses are relative, so that the page works under any path.
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../dist/dashboard',
    emptyOutDir: true,
    target: 'es2022',
    // Every browser that this target admits preloads modules by itself.
    modulePreload: { polyfill: false },
    // Fonts and pictures in style sheets would otherwise become data: addresses that the page's policy forbids.
    assetsInlineLimit: 0,
  },
});
