export const plurals = new Intl.PluralRules('en');
export const list = new Intl.ListFormat('en', { type: 'conjunction' });
export const time = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
export const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

/** So many of something. */
export const count = (number: number, one: string, other = `${one}s`): string =>
  `${number} ${plurals.select(number) === 'one' ? one : other}`;
