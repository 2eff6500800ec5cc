import { StrangerLookups } from './stranger-lookups.ts';

/** Lookups that are answered when the test says so. */
function slowly() {
  const open: ((found: string | undefined) => void)[] = [];
  return { open, lookUp: () => new Promise<string | undefined>((resolve) => open.push(resolve)) };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('asks about what was missing once, and about what was found whenever it is asked', async () => {
  const lookups = new StrangerLookups();
  let asked = 0;
  const answer = (found: string | undefined) => () => {
    asked += 1;
    return Promise.resolve(found);
  };
  for (let time = 0; time < 3; time += 1) expect(await lookups.find('missing', answer(undefined))).toBeUndefined();
  expect(asked).toBe(1);
  for (let time = 0; time < 2; time += 1) expect(await lookups.find('there', answer('it'))).toBe('it');
  expect(asked).toBe(3);
});

it('asks few questions at a time, lets the others wait, and refuses what is too much with 429', async () => {
  const lookups = new StrangerLookups();
  const { open, lookUp } = slowly();
  const answers = Array.from({ length: 2_008 }, (_, index) => lookups.find(String(index), lookUp));
  await expect(lookups.find('one more', lookUp)).rejects.toMatchObject({ code: 'request.too-many', details: { retryAfterSeconds: 1 } });
  expect(open).toHaveLength(8);
  for (let answered = 0; answered < 2_008; answered += 1) {
    if (answered >= open.length) await turn();
    open[answered]?.('it');
  }
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['it']));
});

it('goes on after questions that failed', async () => {
  const lookups = new StrangerLookups();
  const failures = await Promise.allSettled(Array.from({ length: 50 }, (_, index) => lookups.find(String(index), () => Promise.reject(new Error('away')))));
  expect(failures.every(({ status }) => status === 'rejected')).toBe(true);
  // What failed is not known to be missing.
  expect(await lookups.find('1', () => Promise.resolve('it'))).toBe('it');
});
