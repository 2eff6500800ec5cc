const { existsSync, readFileSync } = require('node:fs');
const { dirname, join, resolve } = require('node:path');

/**
 * Where an import leads, for the rules that follow imports: `@corral/<name>` is that library's source, as TypeScript's
 * `@corral/source` condition has it; relative imports name their file with its extension; everything else is foreign.
 */
exports.interfaceVersion = 2;
exports.resolve = (source, importer) => {
  const [, library, subpath = ''] = /^@corral\/([^/]+)(\/.+)?$/.exec(source) ?? [];
  if (library) {
    const root = join(__dirname, '../libs', library);
    if (!existsSync(join(root, 'package.json'))) return { found: false };
    const { exports: entries } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const file = entries?.[`.${subpath}`]?.['@corral/source'];
    return file ? { found: true, path: join(root, file) } : { found: false };
  }
  if (!source.startsWith('.')) return { found: true, path: null };
  const file = resolve(dirname(importer), source);
  return existsSync(file) ? { found: true, path: file } : { found: false };
};
