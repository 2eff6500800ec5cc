import { count, list } from './words.ts';

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
/** Less than one a second is told to a tenth. */
const rate = (perSecond: number): string => `${perSecond >= 10 || perSecond === 0 ? number.format(perSecond) : perSecond < 0.1 ? '<0.1' : perSecond.toFixed(1)}/s`;
const milliseconds = (microseconds: number): string => `${(microseconds / 1000).toLocaleString('en', { maximumSignificantDigits: 2 })} ms`;

/** What is said of where RAM is, and of what brings it there and back. It comes with the pages that say it: not with the first view. */
export const memory = {
  title: 'Memory',
  heldOn: (node: string) => `held by its process on ${node}`,
  notHeld: 'No process holds it now.',
  notMeasured: 'Not measured yet.',
  own: 'belongs to this machine alone',
  guestSees: (size: string) => `The guest sees ${size}; the emulator’s own memory is in the figure.`,
  places: {
    private: { name: 'Private', meaning: 'In place, and this machine’s own.' },
    compressed: { name: 'Compressed', meaning: 'Not used for a while: compressed in the machine’s process.' },
    shared: { name: 'Shared', meaning: 'In place, and shared with other machines of the same origin until it is written to.' },
    swapped: { name: 'Swapped', meaning: 'Not used for long: in Redis, with a copy on the node’s disk.' },
    zero: { name: 'Zero', meaning: 'Never used, or only zeros: takes nothing.' },
  },
  sharedWith: (machines: number) => `Shared with ${machines}`,
  budget: 'Budget',
  holds: (held: string, budget: string) => `Holds ${held} of the ${budget} it may take of its node.`,
  noBudget: 'No budget: all of it may stay in its node’s memory.',
  refused: (why: string) => `Its node cannot swap it: ${why}`,
  paging: 'Paging',
  faults: 'Waits for pages',
  swapOuts: 'Swapped out',
  swapIns: 'Swapped in',
  cameFrom: 'Came back from',
  waits: 'Time waited',
  redisTroubles: 'Redis failed',
  rated: (counted: number, perSecond: number | undefined) => `${number.format(counted)}${perSecond === undefined ? '' : `, ${rate(perSecond)}`}`,
  from: {
    staged: (pages: number) => `${number.format(pages)}\u00a0staged`,
    compressed: (pages: number) => `${number.format(pages)}\u00a0compressed`,
    redis: (pages: number) => `${number.format(pages)}\u00a0Redis`,
    durable: (pages: number) => `${number.format(pages)}\u00a0disk`,
  },
  list: (parts: readonly string[]) => list.format(parts),
  waited: (p50: number, p99: number) => `50 % ≤ ${milliseconds(p50)}, 99 % ≤ ${milliseconds(p99)}`,
  times: (times: number) => count(times, 'time'),
  asleep: 'is all it takes while it sleeps',
  asleepInS3: (node: string | undefined) => (node === undefined ? 'In S3, on no node.' : `In S3, and on the disk of ${node}, where it wakes up soonest.`),
  asleepOn: (node: string) => `On the disk of ${node}; on its way to S3.`,
  ofMachines: 'RAM of its machines',
  saved: (size: string) => `Sharing saves ${size}.`,
} as const;
