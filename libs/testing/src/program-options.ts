import { parseArgs, type ParseArgsConfig } from 'node:util';

/** One `--option` of a program: how its text is read, and what `--help` says of it. */
export interface ProgramOption<V> {
  /** What stands for its value in the help; none where it has none. */
  readonly placeholder?: string;
  readonly help: string;
  readonly fallback: V;
  /** Throws an Error that says what it may be. */
  readonly read: (text: string) => V;
}

export type ProgramOptions = Readonly<Record<string, ProgramOption<unknown>>>;
export type OptionValues<O extends ProgramOptions> = { readonly [Name in keyof O]: O[Name] extends ProgramOption<infer V> ? V : never };

/** A number that is not below 0. */
export const count = (fallback: number, help: string): ProgramOption<number> => ({
  placeholder: 'N',
  help: `${help} (${fallback})`,
  fallback,
  read: (text) => {
    const number = Number(text);
    if (text.trim() === '' || !(number >= 0 && Number.isFinite(number))) throw new Error('must be a number');
    return number;
  },
});

export const text = (placeholder: string, help: string): ProgramOption<string | undefined> => ({ placeholder, help, fallback: undefined, read: (given) => given });

export const flag = (help: string): ProgramOption<boolean> => ({ help, fallback: false, read: () => true });

/** One of several words. */
export function oneOf<const W extends string>(words: readonly W[], fallback: NoInfer<W>, help: string): ProgramOption<W>;
export function oneOf<const W extends string>(words: readonly W[], fallback: undefined, help: string): ProgramOption<W | undefined>;
export function oneOf<const W extends string>(words: readonly W[], fallback: W | undefined, help: string): ProgramOption<W | undefined> {
  const known = fallback === undefined ? '' : ` (${fallback})`;
  return { placeholder: words.join('|'), help: `${help}${known}`, fallback, read: (given) => wordOf(words, given) };
}

/** Some of several words, with commas between them; all unless told. */
export function someOf<const W extends string>(words: readonly W[], help: string): ProgramOption<readonly W[]> {
  return { placeholder: 'A,B', help: `${help}: ${words.join(', ')} (all)`, fallback: words, read: (given) => given.split(',').map((word) => wordOf(words, word)) };
}

function wordOf<const W extends string>(words: readonly W[], given: string): W {
  const found = words.find((word) => word === given);
  if (found === undefined) throw new Error(`${given} is none of ${words.join(', ')}`);
  return found;
}

export type ReadOptions<O extends ProgramOptions> =
  | { readonly type: 'Values'; readonly values: OptionValues<O> }
  | { readonly type: 'Help'; readonly text: string }
  | { readonly type: 'Refused'; readonly text: string };

/** `command` is how the program is called, for help and complaints. */
export function readOptions<O extends ProgramOptions>(command: string, options: O, args: readonly string[]): ReadOptions<O> {
  const named = Object.entries(options);
  const accepted: NonNullable<ParseArgsConfig['options']> = { help: { type: 'boolean', short: 'h' } };
  for (const [name, { placeholder }] of named) accepted[name] = { type: placeholder === undefined ? 'boolean' : 'string' };
  try {
    const { values } = parseArgs({ args: [...args], options: accepted });
    if (values['help'] === true) return { type: 'Help', text: helpOf(command, named) };
    const read = named.map(([name, { read, fallback }]): [string, unknown] => [name, values[name] === undefined ? fallback : readNamed(name, String(values[name]), read)]);
    return { type: 'Values', values: Object.fromEntries(read) as OptionValues<O> };
  } catch (error) {
    return { type: 'Refused', text: `${command}: ${(error as Error).message}` };
  }
}

/** Of this process; prints help, and complaints with exit code 1, and ends it. */
export function programOptions<O extends ProgramOptions>(command: string, options: O): OptionValues<O> {
  const read = readOptions(command, options, process.argv.slice(2));
  if (read.type === 'Values') return read.values;
  if (read.type === 'Help') console.log(read.text);
  else console.error(read.text);
  process.exit(read.type === 'Help' ? 0 : 1);
}

function readNamed(name: string, given: string, read: (text: string) => unknown): unknown {
  try {
    return read(given);
  } catch (error) {
    throw new Error(`--${name}: ${(error as Error).message}`, { cause: error });
  }
}

function helpOf(command: string, named: readonly (readonly [string, ProgramOption<unknown>])[]): string {
  const lines = [...named, ['help', { help: 'this text' }] as const].map(([name, option]) => {
    const placeholder = 'placeholder' in option ? option.placeholder : undefined;
    return [placeholder === undefined ? `--${name}` : `--${name} ${placeholder}`, option.help] as const;
  });
  const width = Math.max(...lines.map(([call]) => call.length));
  return [`Usage: ${command} -- [options]`, ...lines.map(([call, help]) => `  ${call.padEnd(width)}  ${help}`)].join('\n');
}
