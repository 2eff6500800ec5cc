import TestSequencer from '@jest/test-sequencer';

/**
 * Files that take longer than most, in seconds, as they were on two cores. Jest knows the times of its last run on this machine, and begins with the slowest;
 * where it has none, as in a fresh clone, it would begin with the longest text, and wait at the end for one slow file with one core.
 */
const SECONDS = {
  'kubectl-newest.int': 300, 'hazards.int': 200, 'incremental.int': 165, 'fork.int': 150, 'memory-keeper.int': 130, 'drain.int': 130, 'kubectl-oldest.int': 120, 'hibernation.int': 115,
  'memory-soak.int': 115, 'paging.int': 100, 'vm-process.int': 95, 'free-pages.int': 90, 'lost-node.int': 90, 'worker.int': 80, 'launcher.int': 60, 'snapshot.int': 50,
};
/** Of a file that boots guests, and of any other: where nobody has written it down, better too early than alone at the end. */
const WITH_GUESTS = 45;
const USUAL = 10;

const nameOf = (path) => path.slice(path.lastIndexOf('/') + 1).replace(/\.spec\.tsx?$/, '');

export default class LongestFirst extends TestSequencer {
  sort(tests) {
    const seconds = ({ duration, path }) => (duration === undefined ? (SECONDS[nameOf(path)] ?? (path.includes('/apps/worker/src/') ? WITH_GUESTS : USUAL)) : duration / 1000);
    // What failed last is told first, as Jest does, which also fills in the durations.
    return [...super.sort(tests)].sort((a, b) => Number(this.hasFailed(b)) - Number(this.hasFailed(a)) || seconds(b) - seconds(a));
  }
}
