import { spawnSync } from 'node:child_process';
import { findProgram } from '@corral/embedded';

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome'];
const ATTEMPTS = 3;
const INSTALL_TIMEOUT_MS = 10 * 60_000;

/** The browser that drives the console's test: installed from Debian where we may, else the line that does. */
export function ensureBrowser(say: (text: string) => void): void {
  if (BROWSERS.some((name) => findProgram(name) !== undefined)) return;
  if (findProgram('apt-get') === undefined || process.getuid?.() !== 0) {
    say('The console is tested in a real browser, and there is none: sudo apt-get install -y chromium');
    return;
  }
  say('Installing chromium, in which the console is tested');
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    if (aptGet('update') && aptGet('install', '-y', '--no-install-recommends', 'chromium')) return;
  }
  say('chromium could not be installed; the console’s test will fail: apt-get install -y chromium');
}

function aptGet(...args: readonly string[]): boolean {
  const { status } = spawnSync('apt-get', ['-q', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: INSTALL_TIMEOUT_MS,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive' },
  });
  return status === 0;
}
