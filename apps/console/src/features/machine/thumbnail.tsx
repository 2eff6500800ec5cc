import type { VirtualMachine } from '@corral/contracts';
import { classNames } from '@corral/ui';
import { useEffect, useRef, type ReactElement } from 'react';
import { machinePath } from '../../api/resources.ts';
import { fetchStill } from './still.ts';

const REFRESH_MS = 5000;
/** What has no screen now seldom has one a moment later. */
const REFUSED_MS = 15_000;

/** A text screen is unreadable when it is small: its top left corner is not. */
const TEXT_SCREEN_WIDTH = 720;
const TEXT_SHARE = 0.7;
const TEXT_AIR_PX = 5;

/** Drawn at the very pixels it is shown with: the browser's own shrinking of a canvas drops lines of text. */
function draw(still: ImageBitmap, canvas: HTMLCanvasElement): void {
  const crop = cropOf(still);
  const shown = canvas.getBoundingClientRect();
  const scale = Math.max(
    (shown.width * devicePixelRatio) / crop.width,
    (shown.height * devicePixelRatio) / crop.height,
  );
  if (scale === 0) return;
  canvas.width = Math.ceil(crop.width * scale);
  canvas.height = Math.ceil(crop.height * scale);
  const context = canvas.getContext('2d');
  if (!context) return;
  context.imageSmoothingQuality = 'high';
  // Text begins at the very edge of its screen; a little air makes it readable in a frame.
  const air = still.width === TEXT_SCREEN_WIDTH ? TEXT_AIR_PX * devicePixelRatio : 0;
  context.drawImage(still, 0, 0, crop.width, crop.height, air, air, canvas.width, canvas.height);
}

function cropOf({ width, height }: { readonly width: number; readonly height: number }): {
  readonly width: number;
  readonly height: number;
} {
  return width === TEXT_SCREEN_WIDTH // As wide as it is drawn: 16:9.
    ? { width: Math.round(width * TEXT_SHARE), height: Math.round((width * TEXT_SHARE * 9) / 16) }
    : { width, height };
}

/** A small still of a machine's screen, fetched only while it is in view. Black when there is nothing to show. */
export function Thumbnail({
  vm,
  live,
  once = false,
  className,
}: {
  readonly vm: VirtualMachine;
  readonly live: boolean;
  /** What it shows does not change: one look is enough. */
  readonly once?: boolean;
  readonly className?: string;
}): ReactElement {
  const canvas = useRef<HTMLCanvasElement>(null);
  const path = machinePath(vm.metadata.namespace ?? '', vm.metadata.name, 'screenshot');
  useEffect(() => {
    const element = canvas.current;
    if (!element || !live) return undefined;
    const abort = new AbortController();
    let visible = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const refresh = async (): Promise<void> => {
      if (!visible || document.hidden) return;
      const still = await fetchStill(path, abort.signal).catch(() => undefined);
      if (abort.signal.aborted) return still?.close();
      if (still) {
        draw(still, element);
        still.close();
      }
      if (still && once) return observer.disconnect();
      timer = setTimeout(() => void refresh(), still ? REFRESH_MS : REFUSED_MS);
    };
    const observer = new IntersectionObserver(([entry]) => {
      visible = entry?.isIntersecting ?? false;
      clearTimeout(timer);
      void refresh();
    });
    observer.observe(element);
    return () => {
      abort.abort();
      clearTimeout(timer);
      observer.disconnect();
    };
  }, [path, live, once]);
  return (
    <canvas
      ref={canvas}
      aria-hidden
      width={320}
      height={200}
      className={classNames(
        'shrink-0 rounded-tag border border-line2 bg-glass object-cover object-top-left',
        !live && 'opacity-60',
        className,
      )}
    />
  );
}
