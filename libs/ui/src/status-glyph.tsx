import type { ReactElement } from 'react';
import { classNames } from './class-names.ts';
import type { StatusShape, StatusTone } from './status.ts';

const TONES: Readonly<Record<StatusTone, string>> = {
  Good: 'text-good',
  Attention: 'text-attention',
  Motion: 'text-motion',
  Asleep: 'text-asleep',
  Off: 'text-off',
  Bad: 'text-bad',
  Unknown: 'text-off',
};

export const toneClass = (tone: StatusTone): string => TONES[tone];

const SHAPES: Readonly<Record<StatusShape, ReactElement>> = {
  Disc: <circle cx="6" cy="6" r="4" fill="currentColor" />,
  Ring: <circle cx="6" cy="6" r="3.75" fill="none" stroke="currentColor" strokeWidth="2" />,
  Arc: (
    <>
      <circle cx="6" cy="6" r="4.25" fill="none" stroke="currentColor" strokeOpacity="0.28" strokeWidth="2" />
      <path
        d="M6 1.75A4.25 4.25 0 0 1 10.25 6"
        fill="none"
        stroke="currentColor"
        strokeWidth="2"
        strokeLinecap="round"
      />
    </>
  ),
  Triangle: (
    <>
      <path d="M6 1.2 11.3 10.6H.7Z" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinejoin="round" />
      <path d="M6 4.6v2.6M6 8.9v.1" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" />
    </>
  ),
  Bars: <path d="M3 1.75h2v8.5H3zM7 1.75h2v8.5H7z" fill="currentColor" />,
  Crescent: <path d="M4.9 1.5a4.6 4.6 0 1 0 5.6 5.9A4.1 4.1 0 0 1 4.9 1.5Z" fill="currentColor" />,
  Square: <rect x="2" y="2" width="8" height="8" rx="1.5" fill="none" stroke="currentColor" strokeWidth="1.75" />,
  Diamond: (
    <>
      <path d="M6 .4 11.6 6 6 11.6.4 6Z" fill="currentColor" />
      <path d="M6 3.4v3M6 8.2v.1" stroke="var(--color-panel)" strokeWidth="1.4" strokeLinecap="round" />
    </>
  ),
  Dashed: (
    <circle cx="6" cy="6" r="4.25" fill="none" stroke="currentColor" strokeWidth="1.75" strokeDasharray="2.2 2.2" />
  ),
};

/** One of the status shapes. Always beside words that say the same, so it is hidden from screen readers. */
export function StatusGlyph({
  shape,
  tone,
  size = 12,
}: {
  readonly shape: StatusShape;
  readonly tone: StatusTone;
  readonly size?: number;
}): ReactElement {
  return (
    <svg
      aria-hidden
      viewBox="0 0 12 12"
      width={size}
      height={size}
      className={classNames('shrink-0', TONES[tone], shape === 'Arc' && 'animate-turn')}
    >
      {SHAPES[shape]}
    </svg>
  );
}
