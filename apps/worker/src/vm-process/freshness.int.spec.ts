import { jest } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, ForkedVm } from './forked-vm.testing.ts';
import { booted, type GuestConfig, linuxMachine } from './guest-config.testing.ts';

jest.setTimeout(240_000);

const GOLDEN = { uid: '00000000-0000-4000-8000-000000000001', hostname: 'golden', macAddress: '02:00:00:00:00:01' };
const TWINS = [
  { uid: '00000000-0000-4000-8000-000000000002', hostname: 'castor', macAddress: '02:00:00:00:00:02' },
  { uid: '00000000-0000-4000-8000-000000000003', hostname: 'pollux', macAddress: '02:00:00:00:00:03' },
] as const;
/** Draws random bytes again and again, and writes each down: whoever goes on with it draws on. */
const DRAWING = 'while :; do sleep 0.1; head -c 8 /dev/urandom | hexdump -v -e \'8/1 "%02x" "\\n"\'; done > /tmp/drawn 2> /dev/null &';
/** What every machine should have of its own. Each line is one thing. */
const OWN = `
hostname
cat /etc/machine-id
cat /sys/class/net/eth0/address
ip -6 address show dev eth0 scope link | grep -o 'fe80[^ /]*'
cat /proc/sys/kernel/random/uuid
head -c 16 /dev/urandom | hexdump -v -e '16/1 "%02x" "\\n"'
mktemp -u /tmp/XXXXXXXXXXXX
`;

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

describe('Two machines from one snapshot', () => {
  let config: GuestConfig;
  let golden: string;
  let takenAtMs: number;
  let twins: readonly ForkedVm[];

  beforeAll(async () => {
    config = await linuxMachine(GOLDEN);
    golden = await mkdtemp(join(tmpdir(), 'corral-fresh-'));
    const source = await booted(config);
    await eventually('the interface is up', async () => (await source.exec('ip -6 address show dev eth0 scope link | grep fe80')).exitCode === 0, 120_000);
    await source.exec('mkdir -p /etc/corral/fresh.d; printf "#!/bin/sh\\ncat /proc/sys/kernel/random/uuid >> /tmp/hooked\\n" > /etc/corral/fresh.d/note; chmod +x /etc/corral/fresh.d/note');
    await source.exec(`(${DRAWING}) < /dev/null`);
    await eventually('it draws', async () => lines((await source.exec('cat /tmp/drawn')).stdout).length > 5, 60_000);
    const taken = await source.send({ type: 'Snapshot', directory: golden });
    if (!taken.ok) throw new Error(taken.message);
    takenAtMs = Date.now();
    await source.dispose();
    // So that a clock that stood still would be seen.
    await eventually('time has passed', () => Date.now() - takenAtMs > 5_000);
    twins = await Promise.all(
      TWINS.map(async (identity) => {
        const twin = await ForkedVm.fork({ ...config, ...identity });
        await twin.start({ type: 'Snapshot', directory: golden });
        await twin.until('AgentAnswered');
        return twin;
      }),
    );
  });
  afterAll(async () => {
    await ForkedVm.disposeAll();
    await rm(golden, { recursive: true, force: true });
  });

  it('have nothing of their own in common, and nothing of the machine the snapshot is of', async () => {
    const [castor = [], pollux = []] = await Promise.all(
      twins.map(async (twin) => {
        await eventually('it has a link-local address again', async () => (await twin.exec('ip -6 address show dev eth0 scope link | grep fe80')).exitCode === 0);
        return lines((await twin.exec(OWN)).stdout);
      }),
    );
    expect([castor[0], castor[2], pollux[0], pollux[2]]).toEqual(['castor', '02:00:00:00:00:02', 'pollux', '02:00:00:00:00:03']);
    expect([castor.length, pollux.length]).toEqual([7, 7]);
    expect(castor.filter((line) => pollux.includes(line))).toEqual([]);
    expect([...castor, ...pollux].filter((line) => line.includes('golden') || line.startsWith('fe80::ff:fe00:1'))).toEqual([]);
  });

  it('know what time it is', async () => {
    for (const twin of twins) {
      const askedAt = Date.now() / 1000;
      const seconds = Number((await twin.exec('date +%s')).stdout);
      expect(seconds).toBeGreaterThan(askedAt - 2);
      expect(seconds).toBeLessThan(Date.now() / 1000 + 2);
    }
  });

  it('never draw the same random bytes, not even in a program that was drawing when the snapshot was taken', async () => {
    const [castor = [], pollux = []] = await Promise.all(
      twins.map(async (twin) => {
        const before = lines((await twin.exec('cat /tmp/drawn')).stdout).length;
        await eventually('it draws on', async () => lines((await twin.exec('cat /tmp/drawn')).stdout).length > before + 5, 60_000);
        return lines((await twin.exec('cat /tmp/drawn')).stdout);
      }),
    );
    const firstDifference = castor.findIndex((line, index) => line !== pollux[index]);
    const common = new Set(castor.slice(firstDifference));
    expect(firstDifference).toBeGreaterThan(5);
    expect(pollux.slice(firstDifference).filter((line) => common.has(line))).toEqual([]);
  });

  it('have run the hooks of their image, with randomness of their own', async () => {
    const hooked = await Promise.all(
      twins.map(async (twin) => {
        await eventually('the hook ran', async () => (await twin.exec('cat /tmp/hooked')).exitCode === 0);
        return lines((await twin.exec('tail -n 1 /tmp/hooked')).stdout)[0];
      }),
    );
    expect(new Set(hooked).size).toBe(2);
  });
});
