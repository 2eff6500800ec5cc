/** What the console's pages are made of: tokens, status, formats, the filter language, primitives. No words of its own. */
export { formatAge, formatDuration, formatLongDuration } from './age.ts';
export { Button, buttonClass, IconButton, Kbd, type ButtonProps } from './button.tsx';
export { Checkbox } from './checkbox.tsx';
export { classNames } from './class-names.ts';
export { matchesFilter, parseFilter, type FilterSubject, type FilterTerm } from './filter.ts';
export { Meter, type MeterPart } from './meter.tsx';
export { formatSize, splitSize } from './size.ts';
export { Skeleton } from './skeleton.tsx';
export {
  displayStatus,
  imageStatus,
  nodeStatus,
  snapshotStatus,
  type DisplayStatus,
  type ImageSays,
  type MachineSays,
  type NodeSays,
  type SnapshotSays,
  type StatusShape,
  type StatusTone,
} from './status.ts';
export { StatusGlyph, toneClass } from './status-glyph.tsx';
