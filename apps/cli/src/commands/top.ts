import { setTimeout as pause } from 'node:timers/promises';
import type { CorralClient } from '@corral/client';
import { apiPath, describeBytes, nodeMetrics, parseBytes, podMetrics, type NodeMetrics, type PodMetrics } from '@corral/contracts';
import { Option, type Command } from 'commander';
import type { Invocation } from '../invocation.ts';
import { drawTable, formatObjects, parseOutputFormat, type OutputFormat } from '../output.ts';

interface TopOptions {
  readonly allNamespaces?: boolean;
  readonly watch?: boolean;
  readonly sort: 'cpu' | 'memory' | 'name';
  readonly output?: OutputFormat;
}

/** One line of the table. */
export interface Figure {
  readonly name: string;
  readonly namespace: string;
  readonly cpuCores: number;
  readonly memoryBytes: number;
}

const REFRESH_MS = 5_000;
/** ECMA-48: to the top left, and clear from there on. */
const CLEAR = '\x1b[H\x1b[J';

export function addTop(program: Command, invocation: Invocation): void {
  program
    .command('top')
    .summary('what machines or nodes use now')
    .description('Shows how much CPU and memory machines or nodes use now. kubectl top shows the same of nodes and, as pods, of machines.')
    .argument('[what]', 'machines or nodes', 'machines')
    .option('-A, --all-namespaces', 'machines of all namespaces')
    .option('-w, --watch', 'refresh until Ctrl-C')
    .addOption(new Option('--sort <by>', 'the largest first, or by name').choices(['cpu', 'memory', 'name']).default('cpu'))
    .option('-o, --output <format>', 'json, yaml, wide or name', parseOutputFormat)
    .action(async (what: string, options: TopOptions) => {
      if (what !== 'machines' && what !== 'nodes') return program.error(`error: "${what}": must be machines or nodes`);
      const { client, namespace } = await invocation.session();
      const read = what === 'nodes' ? () => readNodes(client) : () => readMachines(client, options.allNamespaces ? undefined : namespace);
      do {
        const text = draw(await read(), options, what === 'machines' && options.allNamespaces === true);
        invocation.print(options.watch && invocation.stdout.isTTY ? `${CLEAR}${text}` : text);
        if (options.watch) await pause(REFRESH_MS, undefined, { signal: invocation.signal }).catch(() => undefined);
      } while (options.watch && !invocation.signal.aborted);
      return undefined;
    });
}

interface List<T> {
  readonly items: readonly T[];
}

async function readNodes({ connection }: CorralClient): Promise<readonly Figure[]> {
  const { items } = await connection.json<List<NodeMetrics>>({ method: 'GET', path: apiPath(nodeMetrics) });
  return items.map(({ metadata, usage }) => ({ name: metadata.name, namespace: '', ...figuresOf(usage) }));
}

async function readMachines({ connection }: CorralClient, namespace: string | undefined): Promise<readonly Figure[]> {
  const { items } = await connection.json<List<PodMetrics>>({ method: 'GET', path: apiPath(podMetrics, namespace) });
  return items.map(({ metadata, containers }) => ({ name: metadata.name, namespace: metadata.namespace ?? '', ...figuresOf(containers[0]?.usage) }));
}

/** CPU comes in nanocores or cores, memory as a quantity. Source: k8s.io/apimachinery/pkg/api/resource, Quantity. */
function figuresOf(usage: { readonly cpu: string; readonly memory: string } | undefined): { cpuCores: number; memoryBytes: number } {
  const [, digits = '0', suffix = ''] = /^([\d.]+)([num]?)$/.exec(usage?.cpu ?? '') ?? [];
  const divisors: Readonly<Record<string, number>> = { n: 1e9, u: 1e6, m: 1e3 };
  return { cpuCores: Number(digits) / (divisors[suffix] ?? 1), memoryBytes: parseBytes(usage?.memory ?? '') ?? 0 };
}

export function draw(figures: readonly Figure[], { sort, output }: Pick<TopOptions, 'sort' | 'output'>, showNamespace: boolean): string {
  const sorted = [...figures].sort((a, b) => (sort === 'cpu' ? b.cpuCores - a.cpuCores : sort === 'memory' ? b.memoryBytes - a.memoryBytes : 0) || compare(a, b));
  if (output !== undefined && output !== 'wide') return formatObjects(output, sorted.map((object) => ({ name: object.name, object })));
  if (sorted.length === 0) return 'No figures yet: machines and nodes have some after a few seconds.';
  const cells = sorted.map(({ namespace, name, cpuCores, memoryBytes }) => [...(showNamespace ? [namespace] : []), name, `${Math.round(cpuCores * 1_000)}m`, describeBytes(memoryBytes)]);
  return drawTable([...(showNamespace ? ['Namespace'] : []), 'Name', 'CPU(cores)', 'Memory'], cells);
}

const compare = (a: Figure, b: Figure): number => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1);
