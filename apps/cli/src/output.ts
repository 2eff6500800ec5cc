import { stringify } from 'yaml';
import { UsageError } from './usage-error.ts';

export const OUTPUT_FORMATS = ['json', 'yaml', 'wide', 'name'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export interface Printed {
  /** `virtualmachine.corral.dev/demo`. */
  readonly name: string;
  readonly object: unknown;
}

/** A table of cells under headings, as kubectl draws them. */
export function drawTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) => Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [headings.map((heading) => heading.toUpperCase()), ...rows]
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('   ').trimEnd())
    .join('\n');
}

/** Objects in a form for programs; undefined for people, who get the command's own words. */
export function formatObjects(format: Exclude<OutputFormat, 'wide'>, printed: readonly Printed[]): string {
  if (format === 'name') return printed.map(({ name }) => name).join('\n');
  const objects = printed.map(({ object }) => object);
  const content = objects.length === 1 ? objects[0] : { apiVersion: 'v1', kind: 'List', items: objects };
  return format === 'json' ? JSON.stringify(content, undefined, 2) : stringify(content).trimEnd();
}

export function parseOutputFormat(text: string): OutputFormat {
  const found = OUTPUT_FORMATS.find((format) => format === text);
  if (!found) throw new UsageError(`-o ${text}: must be one of ${OUTPUT_FORMATS.join(', ')}`);
  return found;
}
