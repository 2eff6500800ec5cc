import { randomBytes } from 'node:crypto';
import type { resources } from '@corral/client';
import { Option, type Command } from 'commander';
import type { Invocation } from '../invocation.ts';
import { isReady } from '../conditions.ts';
import { hasFailed, waitUntilReady } from '../machine-start.ts';
import { parseOutputFormat, type OutputFormat } from '../output.ts';
import { pairsOption, wholeNumber } from '../pairs.ts';
import { runRemotely } from '../remote-command.ts';
import { attachSerial } from '../serial-console.ts';
import { printMachines, machineName } from '../machines.ts';
import { UsageError } from '../usage-error.ts';

interface RunOptions {
  readonly name?: string;
  readonly snapshot?: string;
  readonly pool?: string;
  readonly memory?: string;
  readonly restart?: 'Always' | 'OnFailure' | 'Never';
  readonly label: Readonly<Record<string, string>>;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly stdin?: boolean;
  readonly tty?: boolean;
  readonly rm?: boolean;
  readonly detach?: boolean;
  readonly timeout: number;
  readonly output?: OutputFormat;
}

export function addRun(program: Command, invocation: Invocation): void {
  program
    .command('run')
    .summary('create a machine, and run a command in it')
    .description('Creates a machine from an image or a snapshot, or claims a warm one of a pool, waits until it answers, and runs a command in it or joins its console.')
    .argument('[image]', 'name of an image; see kubectl get vmimages')
    .argument('[command...]', 'program and arguments to run once the machine answers')
    .option('--name <name>', 'name of the machine (default: made from the image)')
    .option('--snapshot <name>', 'continue from a snapshot instead of an image')
    .option('--pool <name>', 'claim a warm machine of a pool instead; see kubectl get vmpools')
    .option('--memory <quantity>', 'guest RAM, as 256Mi (default: what the image wants)')
    .addOption(new Option('--restart <policy>', 'when to start again after it ended').choices(['Always', 'OnFailure', 'Never']))
    .addOption(pairsOption('-l, --label <name=value>', 'add a label'))
    .addOption(pairsOption('--node-selector <name=value>', 'only on nodes with this label'))
    .option('-i, --stdin', 'pass stdin to the command')
    .option('-t, --tty', 'give the command a terminal; without a command, join the console')
    .option('--rm', 'delete the machine when the command or console ends')
    .option('-d, --detach', 'do not wait until it answers')
    .option('--timeout <seconds>', 'how long to wait until it answers', wholeNumber(1, 86_400), 300)
    .option('-o, --output <format>', 'json, yaml, wide or name', parseOutputFormat)
    .addHelpText(
      'after',
      '\nExamples:\n  corral run linux-minimal --name demo\n  corral run linux-minimal --rm -it -- sh\n  corral run --snapshot demo-1 --name demo-again --memory 128Mi\n  corral run --pool ci --rm -- make test',
    )
    .showHelpAfterError('(options of the command itself come after --, as in: corral run linux-minimal -- ls -l)')
    .action((image: string | undefined, command: string[], options: RunOptions) => run(invocation, image, command, options));
}

async function run(invocation: Invocation, image: string | undefined, command: readonly string[], options: RunOptions): Promise<void> {
  const { screen } = invocation;
  // With a snapshot or a pool there is no image to name: the first word is the command's.
  const isNamed = options.snapshot !== undefined || options.pool !== undefined;
  const words = isNamed && image !== undefined ? [image, ...command] : command;
  const source = sourceOf(isNamed ? undefined : image, options);
  const isAttached = words.length > 0 || options.tty === true;
  if (options.detach && isAttached) throw new UsageError('--detach does not go with a command or a terminal');

  const { client, namespace } = await invocation.session();
  const name = options.name ?? `${source.image ?? source.snapshot ?? source.pool}-${randomBytes(3).toString('hex')}`;
  const machine: Omit<resources.VirtualMachine, 'status'> = {
    metadata: { name, ...(Object.keys(options.label).length > 0 ? { labels: options.label } : {}) },
    spec: {
      source,
      ...(options.memory === undefined ? {} : { memory: options.memory }),
      ...(options.restart === undefined ? {} : { restartPolicy: options.restart }),
      ...(Object.keys(options.nodeSelector).length > 0 ? { nodeSelector: options.nodeSelector } : {}),
    },
  };
  const startedAt = performance.now();
  // The same key for every try: an answer that got lost does not make a second machine.
  const created = await client.virtualMachines.create(namespace, machine, { idempotencyKey: randomBytes(16).toString('hex') });
  if (options.detach) {
    printMachines(invocation, [created], options.output, 'created');
    return;
  }

  const remove = async (): Promise<void> => {
    if (options.rm) await client.virtualMachines.delete(namespace, name, created.metadata?.uid === undefined ? {} : { uid: created.metadata.uid });
  };
  const step = screen.step(`${name}: created`);
  try {
    const settings = { timeoutMs: options.timeout * 1_000, signal: invocation.signal, step, isOver: hasFailed };
    const ready = await waitUntilReady(client.virtualMachines, { namespace, name }, settings);
    if (!isReady(ready)) {
      step.fail(`${name} ended before it answered: see kubectl describe vm ${name} and corral logs ${name}`);
      invocation.exitWith(1);
      return;
    }
    step.done(`${name} is ready after ${((performance.now() - startedAt) / 1_000).toFixed(2)} s`);
    if (!isAttached) {
      if (options.output) printMachines(invocation, [ready], options.output, 'ready');
      else invocation.print(machineName(name));
      return;
    }
    const guest = client.machine(namespace, name);
    if (words.length === 0) await attachSerial(guest, name, invocation);
    else {
      const tty = (options.tty ?? false) && invocation.stdin.isTTY === true;
      invocation.exitWith(await runRemotely(guest, { command: words, stdin: options.stdin ?? false, tty }, invocation));
    }
  } catch (error) {
    step.fail(`${name} is not ready`);
    throw error;
  } finally {
    await remove();
  }
}

function sourceOf(image: string | undefined, { snapshot, pool }: Pick<RunOptions, 'snapshot' | 'pool'>): { readonly image?: string; readonly snapshot?: string; readonly pool?: string } {
  if (snapshot !== undefined && pool !== undefined) throw new UsageError('--snapshot and --pool do not go together');
  if (pool !== undefined) return { pool };
  if (snapshot !== undefined) return { snapshot };
  if (image !== undefined) return { image };
  throw new UsageError('name an image (kubectl get vmimages lists them), a snapshot with --snapshot, or a pool with --pool');
}
