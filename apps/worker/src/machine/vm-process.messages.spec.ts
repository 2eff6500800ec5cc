import { type VmProcessOutput } from '@corral/contracts';
import { parseMessage } from './vm-process.messages.ts';

const file = { name: 'a'.repeat(64), sha256: 'a'.repeat(64), sizeBytes: 3 };
const taken = { pauseMs: 1.5, files: [file], manifest: { ...file, name: 'manifest.json' } };

describe('parseMessage', () => {
  it.each<VmProcessOutput>([
    { type: 'Waiting' },
    { type: 'AgentAnswered' },
    { type: 'AgentSilent' },
    { type: 'GuestRebooted' },
    { type: 'GuestPanicked', message: 'Kernel panic' },
    { type: 'Ended', reason: 'GuestPoweredOff', message: '' },
    { type: 'Reply', requestId: 1, ok: true },
    { type: 'Reply', requestId: 1, ok: true, snapshot: taken },
    { type: 'Reply', requestId: 1, ok: false, reason: 'SnapshotCorrupt', message: 'page 3' },
  ])('takes what the protocol knows: %j', (message) => {
    expect(parseMessage(message)).toEqual(message);
  });

  it.each([
    ['nothing', undefined],
    ['a string', 'Waiting'],
    ['an unknown type', { type: 'Upgrade' }],
    ['an unknown reason', { type: 'Ended', reason: 'Whim', message: '' }],
    ['a flood of text', { type: 'GuestPanicked', message: 'x'.repeat(1024 * 1024) }],
    [
      'a file outside its folder',
      { type: 'Reply', requestId: 1, ok: true, snapshot: { ...taken, files: [{ ...file, name: '../../etc/passwd' }] } },
    ],
    [
      'a hidden file',
      { type: 'Reply', requestId: 1, ok: true, snapshot: { ...taken, manifest: { ...file, name: '.env' } } },
    ],
    [
      'a negative size',
      { type: 'Reply', requestId: 1, ok: true, snapshot: { ...taken, files: [{ ...file, sizeBytes: -1 }] } },
    ],
  ])('takes no message for %s', (_what, message) => {
    expect(parseMessage(message)).toBeUndefined();
  });
});
