import TestSequencer from '@jest/test-sequencer';

/**
 * Files that take longer than most, in seconds, as they were on two cores. Jest knows the times of its last run on this machine, and begins with the slowest;
 * where it has none, as in a fresh clone, it would begin with the longest text, and wait at the end for one slow file with one core.
 */
const SECONDS = {
  'kubectl-newest.int': 170, 'fork.int': 150, 'kubectl-oldest.int': 150, 'incremental.int': 150, 'hibernation.int': 130, 'paging.int': 120, 'memory-soak.int': 110,
  'drain.int': 80, 'worker.int': 60, 'lost-node.int': 60, 'vm-process.int': 60, 'snapshot.int': 50, 'memory-keeper.int': 50, 'launcher.int': 50, 'base.int': 40,
  'rollback.int': 40, 'sleeping-node.int': 40, 'frozen.int': 35, 'lineage.int': 35, 'cycles.int': 35, 'boot.int': 30, 'free-pages.int': 30, 'pool.int': 30,
};
const USUAL = 10;

const nameOf = (path) => path.slice(path.lastIndexOf('/') + 1).replace(/\.spec\.tsx?$/, '');

export default class LongestFirst extends TestSequencer {
  sort(tests) {
    const seconds = ({ duration, path }) => (duration === undefined ? (SECONDS[nameOf(path)] ?? USUAL) : duration / 1000);
    // What failed last is told first, as Jest does, which also fills in the durations.
    return [...super.sort(tests)].sort((a, b) => Number(this.hasFailed(b)) - Number(this.hasFailed(a)) || seconds(b) - seconds(a));
  }
}
