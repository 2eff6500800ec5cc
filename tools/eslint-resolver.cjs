const { existsSync } = require('node:fs');
const { dirname, join, resolve } = require('node:path');

/**
 * Where an import leads, for the rules that follow imports: `@corral/<name>` is that library's source, as TypeScript's
 * `@corral/source` condition has it; relative imports name their file with its extension; everything else is foreign.
 */
exports.interfaceVersion = 2;
exports.resolve = (source, importer) => {
  const library = /^@corral\/([^/]+)$/.exec(source);
  if (library) {
    const index = ['index.ts', 'index.tsx']
      .map((file) => join(__dirname, '../libs', library[1], 'src', file))
      .find((file) => existsSync(file));
    return index ? { found: true, path: index } : { found: false };
  }
  if (!source.startsWith('.')) return { found: true, path: null };
  const file = resolve(dirname(importer), source);
  return existsSync(file) ? { found: true, path: file } : { found: false };
};
