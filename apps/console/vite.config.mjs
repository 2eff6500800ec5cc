import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { gzipSync } from 'node:zlib';
import { defineConfig } from 'vite';

/** What must arrive before the first view can be used: the entry, the table of machines, and all they import statically, gzipped. */
const FIRST_VIEW_BUDGET_BYTES = 135 * 1024;
/** Room for a release of a library; beyond it the build fails. */
const TOLERANCE = 1.03;

/** Fails the build when the first view outgrows its budget; so growth is a decision, never an accident. */
const firstViewBudget = {
  name: 'first-view-budget',
  generateBundle(_options, bundle) {
    const chunks = Object.values(bundle).filter(({ type }) => type === 'chunk');
    const first = new Set(
      chunks
        .filter(({ isEntry, facadeModuleId }) => isEntry || facadeModuleId?.endsWith('/machine-table.tsx'))
        .map(({ fileName }) => fileName),
    );
    // A Set grows while it is walked: this reaches imports of imports.
    for (const fileName of first)
      bundle[fileName].imports.forEach((imported) => bundle[imported] && first.add(imported));
    const bytes = [...first].reduce((sum, fileName) => sum + gzipSync(bundle[fileName].code).length, 0);
    const message = `first view: ${(bytes / 1024).toFixed(1)} KiB of ${FIRST_VIEW_BUDGET_BYTES / 1024} KiB gzip`;
    if (bytes > FIRST_VIEW_BUDGET_BYTES * TOLERANCE) this.error(message);
    this.info(message);
  },
};

/** The console is served by the API from `/`; in development Vite serves it and hands everything else to the API. */
export default defineConfig({
  plugins: [react(), tailwindcss(), firstViewBudget],
  resolve: { conditions: ['@corral/source', 'module', 'browser', 'development|production'] },
  build: {
    outDir: 'dist',
    // The Content-Security-Policy allows no data: URLs.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 400,
    rolldownOptions: {
      // Schemas are parsed by the API; the console takes types and a few pure functions from the contracts.
      treeshake: { manualPureFunctions: ['z'] },
      // One file that changes only with its versions: smaller than many, and cached over releases of the console.
      output: {
        codeSplitting: {
          groups: [
            { name: 'vendor', test: /node_modules\/(react|react-dom|scheduler|use-sync-external-store|@tanstack)\// },
          ],
        },
      },
    },
  },
  server: {
    proxy: Object.fromEntries(
      ['/api', '/apis', '/auth', '/live', '/readyz'].map((path) => [
        path,
        { target: 'http://127.0.0.1:8086', ws: true },
      ]),
    ),
  },
});
