import { randomBytes } from 'node:crypto';
import { describeBytes, Problem } from '@corral/contracts';
import type { CorralClient, resources } from '@corral/client';
import type { Command } from 'commander';
import type { Invocation } from '../invocation.ts';
import { conditionOf, describeCondition, isReady } from '../conditions.ts';
import { waitUntilReady } from '../machine-start.ts';
import { printSnapshot } from '../machines.ts';
import { parseOutputFormat, type OutputFormat } from '../output.ts';
import { wholeNumber } from '../pairs.ts';

interface SnapshotOptions {
  readonly name?: string;
  readonly wait: boolean;
  readonly timeout: number;
  readonly output?: OutputFormat;
}

export function addSnapshot(program: Command, invocation: Invocation): void {
  program
    .command('snapshot')
    .summary('take a snapshot of a machine')
    .description('Takes a snapshot of a machine, its memory and disk, while it runs on, is paused or hibernates, and waits until every byte is verified in storage. kubectl get vmsnaps lists them; corral run --snapshot and corral rollback go on from them.')
    .argument('<machine>', 'name of the machine')
    .option('--name <name>', 'name of the snapshot (default: made from the machine)')
    .option('--no-wait', 'do not wait until it is verified')
    .option('--timeout <seconds>', 'how long to wait', wholeNumber(1, 86_400), 600)
    .option('-o, --output <format>', 'json, yaml, wide or name', parseOutputFormat)
    .addHelpText('after', '\nExamples:\n  corral snapshot demo\n  corral snapshot demo --name before-upgrade')
    .action(async (machine: string, options: SnapshotOptions) => {
      const { client, namespace } = await invocation.session();
      const name = options.name ?? `${machine}-${randomBytes(3).toString('hex')}`;
      const snapshot = options.wait
        ? await takeSnapshot(client, { namespace, machine, name, timeoutMs: options.timeout * 1_000 }, invocation)
        : await client.virtualMachineSnapshots.create(namespace, { metadata: { name }, spec: { virtualMachine: machine } });
      printSnapshot(invocation, snapshot, options.output);
    });
}

export interface SnapshotRequest {
  readonly namespace: string;
  readonly machine: string;
  readonly name: string;
  readonly timeoutMs: number;
}

/** A snapshot that is Ready; refuses with what went wrong when it never will be. */
export async function takeSnapshot(client: CorralClient, { namespace, machine, name, timeoutMs }: SnapshotRequest, { screen, signal }: Invocation): Promise<resources.VirtualMachineSnapshot> {
  const step = screen.step(`${name}: asking for a snapshot of ${machine}`);
  try {
    await client.virtualMachineSnapshots.create(namespace, { metadata: { name }, spec: { virtualMachine: machine } }, { idempotencyKey: randomBytes(16).toString('hex') });
    const isOver = ({ status }: resources.VirtualMachineSnapshot): boolean => status?.completedAt !== undefined;
    const snapshot = await waitUntilReady(client.virtualMachineSnapshots, { namespace, name }, { timeoutMs, signal, step, isOver });
    if (!isReady(snapshot)) {
      const ready = conditionOf(snapshot, 'Ready');
      throw new Problem('dependency.unavailable', `the snapshot failed: ${ready ? describeCondition(ready) : 'no reason was given'}`);
    }
    const { sizeBytes = 0, pauseMilliseconds = 0 } = snapshot.status ?? {};
    step.done(`${name} is verified: ${describeBytes(sizeBytes)} stored, ${machine} stood still for ${Math.round(pauseMilliseconds)} ms`);
    return snapshot;
  } catch (error) {
    step.fail(`${name} failed`);
    throw error;
  }
}
