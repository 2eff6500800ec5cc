import { useCallback, useEffect, useRef, useState, type RefObject } from 'react';
import { asRefusal, type Refusal } from '../../api/refusal.ts';
import { fetchStill } from './still.ts';

export interface Still {
  readonly width: number;
  readonly height: number;
  /** From asking to drawn. */
  readonly milliseconds: number;
}

const CALM_MS = 1000;
/** Just after input the answer is what one waits for. */
const BUSY_MS = 250;
const BUSY_FOR_MS = 4000;
const REFUSED_MS = 5000;
const NOTHING_KEPT = 'ScreenUnavailable';

/**
 * Draws the screen into a canvas again and again: once a second, four times a second just after `hurry`, not at all
 * while the tab is hidden or the machine shows nothing, and with `once` a single time, because nothing of it can change. The last picture stays when the next cannot be had.
 */
export function useStill(
  canvas: RefObject<HTMLCanvasElement | null>,
  path: string,
  live: boolean,
  once = false,
): { readonly still: Still | undefined; readonly refusal: Refusal | undefined; readonly hurry: () => void } {
  const [still, setStill] = useState<Still>();
  const [refusal, setRefusal] = useState<Refusal>();
  const hurriedAt = useRef(0);
  const wake = useRef<() => void>(() => undefined);

  useEffect(() => {
    if (!live) return undefined;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let running = false;

    /** False when it may be there later. */
    const draw = async (): Promise<boolean> => {
      const askedAt = performance.now();
      try {
        const picture = await fetchStill(path, abort.signal);
        const target = canvas.current;
        if (target) {
          if (target.width !== picture.width || target.height !== picture.height)
            Object.assign(target, { width: picture.width, height: picture.height });
          target.getContext('2d')?.drawImage(picture, 0, 0);
        }
        setStill({
          width: picture.width,
          height: picture.height,
          milliseconds: Math.round(performance.now() - askedAt),
        });
        setRefusal(undefined);
        picture.close();
        return true;
      } catch (error) {
        const refused = asRefusal(error);
        if (!abort.signal.aborted) setRefusal(refused);
        // What was not kept then is not kept later.
        return once && refused.reason === NOTHING_KEPT;
      }
    };
    const loop = async (): Promise<void> => {
      clearTimeout(timer);
      if (running || document.hidden || abort.signal.aborted) return;
      running = true;
      const drawn = await draw();
      running = false;
      if (drawn && once) return;
      const pause = !drawn ? REFUSED_MS : performance.now() - hurriedAt.current < BUSY_FOR_MS ? BUSY_MS : CALM_MS;
      if (!abort.signal.aborted) timer = setTimeout(() => void loop(), pause);
    };
    wake.current = () => void loop();
    const shown = (): void => void loop();
    document.addEventListener('visibilitychange', shown);
    void loop();
    return () => {
      abort.abort();
      clearTimeout(timer);
      wake.current = () => undefined;
      document.removeEventListener('visibilitychange', shown);
    };
  }, [canvas, path, live, once]);

  const hurry = useCallback(() => {
    const wasCalm = performance.now() - hurriedAt.current > BUSY_FOR_MS;
    hurriedAt.current = performance.now();
    if (wasCalm) wake.current();
  }, []);
  return { still, refusal, hurry };
}
