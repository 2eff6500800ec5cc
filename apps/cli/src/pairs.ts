import { InvalidArgumentError, Option } from 'commander';

/** An option like `-e NAME=value`, which may be given several times: all of them by name, none where it was not given. */
export const pairsOption = (flags: string, description: string): Option => new Option(flags, `${description} (repeatable)`).argParser(collectPairs).default({}, 'none');

function collectPairs(text: string, pairs: Readonly<Record<string, string>>): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must look like name=value.');
  return { ...pairs, [text.slice(0, at)]: text.slice(at + 1) };
}

/** For options that are whole numbers within limits. */
export function wholeNumber(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!Number.isInteger(number) || number < minimum || number > maximum) throw new InvalidArgumentError(`It must be a whole number from ${minimum} to ${maximum}.`);
    return number;
  };
}
