import { MultiBar, Presets } from 'cli-progress';

export type ProgressUnit = 'bytes' | 'files' | 'steps';

/** One piece of work whose size is known from the start. */
export interface ProgressStep {
  /** Says how much of the total is done, in the step's unit. */
  report(done: number): void;
  end(): void;
}

/** Where a build says what it is doing. */
export interface Progress {
  begin(step: string, total: number, unit: ProgressUnit): ProgressStep;
  note(message: string): void;
  close(): void;
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const amount = (value: number, unit: ProgressUnit): string =>
  unit === 'bytes' ? mebibytes(value) : `${value} ${unit}`;

/** Bars that redraw in place: for people. */
export function barProgress(stream: NodeJS.WriteStream): Progress {
  const bars = new MultiBar(
    {
      stream,
      format: ' {bar} {percentage}% {step} {amount}',
      hideCursor: true,
      clearOnComplete: false,
      barsize: 24,
      stopOnComplete: false,
    },
    Presets.shades_classic,
  );
  return {
    begin(step, total, unit) {
      const label = (done: number) => ({
        step,
        amount: unit === 'bytes' ? `${mebibytes(done)} of ${mebibytes(total)}` : '',
      });
      const bar = bars.create(Math.max(total, 1), 0, label(0));
      return {
        report: (done) => bar.update(Math.min(done, total), label(done)),
        end: () => {
          bar.update(Math.max(total, 1), label(total));
          bar.stop();
        },
      };
    },
    note: (message) => bars.log(`${message}\n`),
    close: () => bars.stop(),
  };
}

/** One line when a step begins and one when it ends: for logs. */
export function lineProgress(write: (line: string) => void, nowMs: () => number): Progress {
  return {
    begin(step, total, unit) {
      const startedMs = nowMs();
      write(`${step}${unit === 'steps' ? '' : `: ${amount(total, unit)}`} …`);
      return {
        report: () => undefined,
        end: () => write(`${step}: done in ${((nowMs() - startedMs) / 1000).toFixed(1)} s`),
      };
    },
    note: write,
    close: () => undefined,
  };
}

const JSON_INTERVAL_MS = 100;

/** One JSON object per line, `{step,done,total,unit}` or `{note}`, at most ten a second per step: for a parent process. */
export function jsonProgress(write: (line: string) => void, nowMs: () => number): Progress {
  return {
    begin(step, total, unit) {
      let lastMs = nowMs();
      const line = (done: number) => write(JSON.stringify({ step, done, total, unit }));
      line(0);
      return {
        report(done) {
          if (nowMs() - lastMs < JSON_INTERVAL_MS) return;
          lastMs = nowMs();
          line(Math.min(done, total));
        },
        end: () => line(total),
      };
    },
    note: (message) => write(JSON.stringify({ note: message })),
    close: () => undefined,
  };
}
