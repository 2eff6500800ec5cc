import { depart, DEPARTURE_DEADLINES, type DepartureSteps } from './departure.ts';

const never = (): Promise<never> => new Promise(() => undefined);

/** A node whose machines are suspended a moment after it is told to. */
function aNode(heard: string[], changes: Partial<DepartureSteps> = {}): DepartureSteps {
  let isSuspended = false;
  return {
    suspend: () => {
      heard.push('suspend');
      setTimeout(() => (isSuspended = heard.push('suspended') > 0), 30);
    },
    areSuspended: () => isSuspended,
    announce: async () => heard.push('announce'),
    sideWork: [async () => heard.push('side work ends')],
    isReported: () => true,
    farewell: async () => heard.push('farewell'),
    ...changes,
  };
}

describe('A node agent that leaves', () => {
  it('suspends its machines first, and says goodbye last', async () => {
    const heard: string[] = [];
    await depart(aNode(heard));
    expect(heard).toEqual(['suspend', 'announce', 'side work ends', 'suspended', 'farewell']);
  });

  it('lets nothing that does not end keep machines from being suspended, or itself from leaving', async () => {
    const heard: string[] = [];
    const begun = performance.now();
    await depart(aNode(heard, { announce: never, sideWork: [never], isReported: () => false, farewell: never }), { suspendMs: 5_000, goodbyeMs: 50 });
    expect(heard).toEqual(['suspend', 'suspended']);
    expect(performance.now() - begun).toBeLessThan(2_000);
  });

  it('leaves without a machine that cannot be suspended', async () => {
    const heard: string[] = [];
    await depart(aNode(heard, { areSuspended: () => false, sideWork: [() => Promise.reject(new Error('broken'))] }), { suspendMs: 50, goodbyeMs: 50 });
    expect(heard.at(-1)).toBe('farewell');
  });

  it('is gone before a service manager’s patience ends, with what it closes afterwards', () => {
    const { suspendMs, goodbyeMs } = DEPARTURE_DEADLINES;
    expect(suspendMs + 4 * goodbyeMs).toBeLessThan(25_000);
  });
});
