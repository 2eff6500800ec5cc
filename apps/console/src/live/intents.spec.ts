import type { VirtualMachine } from '@corral/contracts';
import { Refusal } from '../api/refusal.ts';
import { withIntent } from './intents.ts';

const NOW = new Date('2026-03-01T12:00:00Z');
const vm = (generation: number): VirtualMachine => ({
  apiVersion: 'corral.dev/v1',
  kind: 'VirtualMachine',
  metadata: { name: 'demo', uid: 'u', resourceVersion: '1', generation, creationTimestamp: '2026-03-01T11:00:00Z' },
  spec: {
    source: { image: 'x' },
    powerState: 'Running',
    restartPolicy: 'Always',
    bootPolicy: 'Golden',
    nodeSelector: {},
  },
});
const pause = { generation: 3, wish: { type: 'Power', powerState: 'Paused' } } as const;

describe('withIntent', () => {
  it('shows what was asked until a later generation knows it', () => {
    expect(withIntent(vm(3), pause, NOW).spec?.powerState).toBe('Paused');
    expect(withIntent(vm(4), pause, NOW)).toEqual(vm(4));
  });

  it('takes it back when the API refused', () => {
    expect(withIntent(vm(3), { ...pause, refusal: new Refusal(403, 'Forbidden', 'no') }, NOW)).toEqual(vm(3));
  });

  it('never touches status, which is fact', () => {
    const running = { ...vm(3), status: { phase: 'Running' as const } };
    expect(withIntent(running, pause, NOW).status).toBe(running.status);
    expect(withIntent(running, { generation: 3, wish: { type: 'Delete' } }, NOW)).toMatchObject({
      metadata: { deletionTimestamp: NOW.toISOString() },
      status: { phase: 'Running' },
    });
  });
});
