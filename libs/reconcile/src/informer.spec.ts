import {
  type KindDefinition,
  type KubeObject,
  namespaces,
  type ObjectClient,
  Problem,
  type WatchEvent,
} from '@corral/contracts';
import fc from 'fast-check';
import { Informer } from './informer.ts';
import { settle, VirtualTimers } from './virtual-timers.ts';

interface WatchOptions {
  readonly resourceVersion: string;
  readonly signal: AbortSignal;
}

/** The API's promise about lists and watches, in memory, with the faults real ones have. */
class Server {
  readonly objects = new Map<string, KubeObject>();
  log: { readonly version: number; readonly event: WatchEvent }[] = [];
  version = 1;
  compactedBefore = 0;
  /** Events that are never sent: what a resync is for. */
  readonly lost = new Set<number>();
  failing = false;
  #watchers: ((ended: boolean) => void)[] = [];

  write(name: string, uid: string): void {
    const type = this.objects.has(name) ? 'MODIFIED' : 'ADDED';
    const object = this.#object(name, uid, ++this.version);
    this.objects.set(name, object);
    this.#append({ type, object });
  }

  delete(name: string): void {
    const object = this.objects.get(name);
    if (!object) return;
    this.objects.delete(name);
    this.#append({ type: 'DELETED', object: this.#object(name, object.metadata.uid, ++this.version) });
  }

  compact(): void {
    this.log = [];
    this.compactedBefore = this.version;
  }

  endWatches(): void {
    for (const wake of this.#watchers.splice(0)) wake(true);
  }

  client(): ObjectClient {
    const refuse = (): void => {
      if (this.failing) throw new Problem('dependency.unavailable', 'away');
    };
    return {
      list: async () => {
        refuse();
        return { items: [...this.objects.values()], resourceVersion: String(this.version) };
      },
      watch: (_kind: KindDefinition, options: WatchOptions) => {
        refuse();
        return this.#watch(options);
      },
    } as unknown as ObjectClient;
  }

  async *#watch({ resourceVersion, signal }: WatchOptions): AsyncGenerator<WatchEvent> {
    let sent = Number(resourceVersion);
    while (!signal.aborted) {
      if (sent < this.compactedBefore) throw new Problem('version.expired', 'too old');
      const next = this.log.find(({ version }) => version > sent);
      if (next) {
        sent = next.version;
        if (!this.lost.has(sent)) yield next.event;
        continue;
      }
      const ended = await new Promise<boolean>((resolve) => {
        this.#watchers.push(resolve);
        signal.addEventListener('abort', () => resolve(true), { once: true });
      });
      if (ended) return;
    }
  }

  #object(name: string, uid: string, version: number): KubeObject {
    return {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name,
        uid,
        resourceVersion: String(version),
        generation: 1,
        creationTimestamp: '2026-01-01T00:00:00Z',
      },
    };
  }

  #append(event: WatchEvent): void {
    this.log.push({ version: this.version, event });
    for (const wake of this.#watchers.splice(0)) wake(false);
  }
}

interface Rig {
  readonly server: Server;
  readonly timers: VirtualTimers;
  readonly informer: Informer<unknown, unknown>;
  readonly failures: unknown[];
  readonly stop: () => Promise<void>;
}

function rig({
  names = [],
  resyncMs = 0,
}: { readonly names?: readonly string[]; readonly resyncMs?: number } = {}): Rig {
  const server = new Server();
  for (const [index, name] of names.entries()) server.write(name, String(index + 1));
  const timers = new VirtualTimers();
  const failures: unknown[] = [];
  const informer = new Informer<unknown, unknown>({
    client: server.client(),
    kind: namespaces,
    timers,
    random: () => 1,
    resyncMs,
    onFailure: (error) => failures.push(error),
  });
  const abort = new AbortController();
  informer.start(abort.signal);
  return { server, timers, informer, failures, stop: () => (abort.abort(), informer.stopped()) };
}

const view = (objects: Iterable<KubeObject>): string[] =>
  [...objects].map(({ metadata }) => `${metadata.name}/${metadata.uid}@${metadata.resourceVersion}`).sort();

describe('Informer', () => {
  it('holds what the first list said and then what the watch tells', async () => {
    const { server, informer, stop } = rig({ names: ['a'] });
    await informer.synced();
    server.write('b', '2');
    server.delete('a');
    await settle();
    expect(view(informer.list())).toEqual(view(server.objects.values()));
    expect([informer.getByUid('2')?.metadata.name, informer.getByUid('1')]).toEqual(['b', undefined]);
    await stop();
  });

  it('tells listeners of deletions that happened while its version expired', async () => {
    const { server, timers, informer, stop } = rig({ names: ['a', 'b'] });
    await informer.synced();
    const told: string[] = [];
    informer.onChange(({ name }, object) => told.push(`${name} ${object ? 'is' : 'gone'}`));
    server.endWatches();
    await settle();
    server.delete('a');
    server.compact();
    server.write('c', '3');
    await timers.advance(2_000);
    expect(told.sort()).toEqual(['a gone', 'c is']);
    await stop();
  });

  it('reports failures, keeps what it has, and catches up when the API is back', async () => {
    const { server, timers, informer, failures, stop } = rig({ names: ['a'] });
    await informer.synced();
    server.failing = true;
    server.endWatches();
    server.write('b', '2');
    await timers.advance(5_000);
    expect(failures.length).toBeGreaterThan(2);
    expect(view(informer.list())).toHaveLength(1);
    server.failing = false;
    await timers.advance(15_000);
    expect(view(informer.list())).toEqual(view(server.objects.values()));
    await stop();
  });

  it('counts as corrections exactly what the watch had not told', async () => {
    const { server, timers, informer, stop } = rig({ resyncMs: 30_000 });
    await informer.synced();
    server.lost.add(server.version + 1);
    server.write('a', '1');
    await timers.advance(29_000);
    expect(informer.list()).toEqual([]);
    await timers.advance(2_000);
    expect([view(informer.list()).length, informer.corrections]).toEqual([1, 1]);
    await timers.advance(60_000);
    expect(informer.corrections).toBe(1);
    await stop();
  });

  it('says what the watch told, and what only a resync came by with', async () => {
    const { server, timers, informer, stop } = rig({ resyncMs: 30_000 });
    await informer.synced();
    const told: string[] = [];
    informer.onChange(({ name }, _object, origin) => told.push(`${name} ${origin}`));
    server.write('a', '1');
    await settle();
    expect(told.splice(0)).toEqual(['a Change']);
    server.lost.add(server.version + 1);
    server.write('b', '2');
    await timers.advance(31_000);
    expect(new Set(told)).toEqual(new Set(['a Resync', 'b Resync']));
    await stop();
  });

  it('shows an own write at once, and is not set back by the echo', async () => {
    const { server, informer, stop } = rig({ names: ['a'] });
    await informer.synced();
    server.lost.add(server.version + 1);
    server.write('a', '1');
    const written = server.objects.get('a');
    if (written) informer.observe(written);
    expect(informer.get(undefined, 'a')).toBe(written);
    await stop();
  });

  it('converges to what the server holds, whatever is lost, ended, compacted or refused on the way', async () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          type: fc.constant('write' as const),
          name,
          uid: fc.constantFrom('1', '2'),
          lost: fc.boolean(),
        }),
      },
      { weight: 3, arbitrary: fc.record({ type: fc.constant('delete' as const), name, lost: fc.boolean() }) },
      fc.constant({ type: 'end' as const }),
      fc.constant({ type: 'compact' as const }),
      fc.record({ type: fc.constant('fail' as const), failing: fc.boolean() }),
      fc.record({ type: fc.constant('wait' as const), ms: fc.constantFrom(0, 50, 500, 40_000) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const { server, timers, informer, stop } = rig({ resyncMs: 30_000 });
        const told = new Map<string, string>();
        // Versions grow, so objects change groups.
        const parityOf = ({ metadata }: KubeObject): string | undefined => ['even', undefined, 'odd'][Number(metadata.resourceVersion) % 3];
        const ofParity = informer.index(parityOf);
        informer.onChange(({ name: changed }, object) =>
          object ? told.set(changed, object.metadata.resourceVersion) : told.delete(changed),
        );
        for (const next of steps) {
          if ('lost' in next && next.lost) server.lost.add(server.version + 1);
          if (next.type === 'write') {
            const uid = server.objects.get(next.name)?.metadata.uid ?? next.uid + String(server.version);
            server.write(next.name, uid);
          } else if (next.type === 'delete') server.delete(next.name);
          else if (next.type === 'end') server.endWatches();
          else if (next.type === 'compact') server.compact();
          else if (next.type === 'fail') server.failing = next.failing;
          else await timers.advance(next.ms);
          await settle();
        }
        server.failing = false;
        await timers.advance(100_000);
        expect(view(informer.list())).toEqual(view(server.objects.values()));
        for (const parity of ['even', 'odd']) {
          expect(view(ofParity(parity))).toEqual(view(informer.list().filter((object) => parityOf(object) === parity)));
        }
        expect([...told].sort()).toEqual(
          [...server.objects.values()].map(({ metadata }) => [metadata.name, metadata.resourceVersion]).sort(),
        );
        await stop();
      }),
      { numRuns: 150 },
    );
  });
});
