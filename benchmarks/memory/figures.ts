/** What one row of the table says. Bars are from the issue that asked for the memory engine; smaller is better unless it says so. */
export interface Row {
  readonly name: string;
  readonly unit: 'ms' | 'MiB' | 'KiB' | '%' | '×';
  readonly bar: number;
  readonly moonshot: number;
  /** A ratio, of which more is better. */
  readonly isGain?: boolean;
}

export interface Figure extends Row {
  readonly value: number;
  readonly samples: readonly number[];
  readonly note?: string;
}

/** The figures of one run, told as they come. */
export class Figures {
  readonly #figures: Figure[] = [];
  readonly #skipped: { readonly name: string; readonly why: string }[] = [];

  get all(): readonly Figure[] {
    return this.#figures;
  }

  get skipped(): readonly { readonly name: string; readonly why: string }[] {
    return this.#skipped;
  }

  add(row: Row, value: number, samples: readonly number[] = [value], note?: string): void {
    const figure = { ...row, value, samples, ...(note === undefined ? {} : { note }) };
    this.#figures.push(figure);
    console.log(`  ${row.name}: ${short(value)} ${row.unit} — ${verdict(figure)}${note === undefined ? '' : ` (${note})`}`);
  }

  skip(name: string, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#skipped.push({ name, why });
    console.log(`  ${name}: could not be measured: ${why}`);
  }

  table(): void {
    console.log('');
    console.table(
      this.#figures.map((figure) => ({
        figure: figure.name,
        measured: `${short(figure.value)} ${figure.unit}`,
        bar: short(figure.bar),
        moonshot: short(figure.moonshot),
        verdict: verdict(figure),
        n: figure.samples.length,
      })),
    );
    for (const { name, why } of this.#skipped) console.log(`not measured: ${name}: ${why}`);
  }
}

export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? NaN;
}

export function verdict({ value, bar, moonshot, isGain }: Pick<Figure, 'value' | 'bar' | 'moonshot' | 'isGain'>): 'moonshot' | 'met' | 'MISSED' {
  const reaches = (goal: number): boolean => (isGain ? value >= goal : value <= goal);
  if (reaches(moonshot)) return 'moonshot';
  return reaches(bar) ? 'met' : 'MISSED';
}

const short = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3));
