import { destinationOf, parseCopyEnd } from './guest-path.ts';
import { UsageError } from './usage-error.ts';

it.each([
  ['demo:/etc/hosts', { type: 'Guest', machine: 'demo', path: '/etc/hosts' }],
  ['notes.txt', { type: 'Local', path: 'notes.txt' }],
  ['./a:b', { type: 'Local', path: './a:b' }],
  ['/tmp/a:/b', { type: 'Local', path: '/tmp/a:/b' }],
])('%s is one side of a copy', (text, end) => expect(parseCopyEnd(text)).toEqual(end));

it('a relative path in a guest is refused: a guest has no current folder', () => {
  expect(() => parseCopyEnd('demo:etc')).toThrow(UsageError);
});

it.each([
  ['/tmp', true, '/tmp/file'],
  ['/tmp/', false, '/tmp/file'],
  ['/tmp/other', false, '/tmp/other'],
])('into %s (a folder: %s) goes to %s', (target, isFolder, destination) => expect(destinationOf(target, 'file', isFolder)).toBe(destination));
