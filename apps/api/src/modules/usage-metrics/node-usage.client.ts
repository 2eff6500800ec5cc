import { Inject, Injectable, Logger } from '@nestjs/common';
import { findCondition, NODE_USAGE_PATH, NodeUsage, type Node } from '@corral/contracts';
import { DataPlaneTokens } from '../../platform/auth/data-plane-tokens.ts';

const DEADLINE_MS = 3_000;
/** Several people who look at once look at the same figures. */
const FRESH_MS = 5_000;
const NODES_AT_ONCE = 50;

interface Reading {
  readonly until: number;
  readonly usage: Promise<NodeUsage | undefined>;
}

/** Asks nodes what their machines use. A node that does not answer has no figures, and keeps nobody from the others'. */
@Injectable()
export class NodeUsageClient {
  readonly #logger = new Logger(NodeUsageClient.name);
  readonly #readings = new Map<string, Reading>();

  constructor(@Inject(DataPlaneTokens) private readonly tokens: DataPlaneTokens) {}

  /** By name of the node. */
  async read(nodes: readonly Node[]): Promise<ReadonlyMap<string, NodeUsage>> {
    const found = new Map<string, NodeUsage>();
    for (let at = 0; at < nodes.length; at += NODES_AT_ONCE) {
      const some = nodes.slice(at, at + NODES_AT_ONCE);
      const usages = await Promise.all(some.map((node) => this.#readOne(node)));
      for (const [index, node] of some.entries()) {
        const usage = usages[index];
        if (usage) found.set(node.metadata.name, usage);
      }
    }
    return found;
  }

  #readOne(node: Node): Promise<NodeUsage | undefined> {
    const { name } = node.metadata;
    const url = node.status?.corral?.dataPlaneUrl;
    if (!url || findCondition(node.status?.conditions, 'Ready')?.status !== 'True') return Promise.resolve(undefined);
    const now = performance.now();
    const known = this.#readings.get(name);
    if (known && known.until > now) return known.usage;
    for (const [other, { until }] of this.#readings) if (until <= now) this.#readings.delete(other);
    const usage = this.#ask(name, url).catch((error: unknown) => {
      this.#logger.debug({ err: error }, `Node ${name} did not say what it uses`);
      return undefined;
    });
    this.#readings.set(name, { until: now + FRESH_MS, usage });
    return usage;
  }

  async #ask(nodeName: string, url: string): Promise<NodeUsage> {
    const token = await this.tokens.issue(nodeName, { operation: 'usage' });
    const response = await fetch(new URL(NODE_USAGE_PATH, url), { headers: { authorization: `Bearer ${token}` }, redirect: 'error', signal: AbortSignal.timeout(DEADLINE_MS) });
    if (!response.ok) throw new Error(`the node answered ${response.status}`);
    return NodeUsage.parse(await response.json());
  }
}
