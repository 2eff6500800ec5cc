import { spawnSync } from 'node:child_process';
import getPort from 'get-port';
import { launch, remember, TEST_HOME } from './stack.ts';

/** Images the tests need beside the default one, which the launcher builds by itself. */
const IMAGES = ['debian-dev'];

/** Jest's global setup of the e2e project: one stack for all its tests. */
export default async function setup(): Promise<void> {
  for (const image of IMAGES) {
    const build = spawnSync(
      process.execPath,
      ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', 'images/src/main.ts', image, '--home', TEST_HOME],
      { stdio: 'inherit', env: { ...process.env, NODE_OPTIONS: '' } },
    );
    if (build.status !== 0) throw new Error(`image ${image} could not be built`);
  }
  remember(await launch(TEST_HOME, await getPort()));
}
