import type { Invocation } from './invocation.ts';
import { UsageError } from './usage-error.ts';

const CTRL_C = '\x03';
const BACKSPACE = ['\x7f', '\b'];
const ENTER = ['\r', '\n'];

/** One line typed without being shown. */
export function readSecret(prompt: string, { stdin, stderr }: Pick<Invocation, 'stdin' | 'stderr'>): Promise<string> {
  if (stdin.isTTY !== true) return Promise.reject(new UsageError('there is no terminal to ask on: pass the token with --token-stdin'));
  stderr.write(prompt);
  stdin.setRawMode(true);
  stdin.resume();
  return new Promise((resolve, reject) => {
    let typed = '';
    const finish = (): void => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
    };
    const onData = (bytes: Buffer): void => {
      for (const character of bytes.toString('utf8')) {
        if (ENTER.includes(character)) {
          finish();
          return resolve(typed);
        }
        if (character === CTRL_C) {
          finish();
          return reject(new UsageError('not signed in'));
        }
        typed = BACKSPACE.includes(character) ? typed.slice(0, -1) : typed + character;
      }
    };
    stdin.on('data', onData);
  });
}
