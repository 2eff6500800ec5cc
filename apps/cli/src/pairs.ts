import { InvalidArgumentError } from 'commander';

/** For options like `-e NAME=value` that may be given several times. */
export function collectPairs(text: string, pairs: Readonly<Record<string, string>>): Record<string, string> {
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
