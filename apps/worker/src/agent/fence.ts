import { type ObjectClient, type VirtualMachine, virtualMachines } from '@corral/contracts';
import { isGivenUp, isLive } from '@corral/vm-lifecycle';
import { type Logger } from 'pino';
import { type Supervisor } from '../machine/supervisor.ts';
import { untilOrDeadline } from './deadline.ts';

const KILL_DEADLINE_MS = 2_000;

/**
 * Kills every machine that the API, asked now and not remembered, has given to another node or to nobody. Throws when the
 * API does not answer, or when one of them does not die.
 */
export async function killWhatIsLost({
  client,
  nodeName,
  supervisor,
  log,
}: {
  readonly client: ObjectClient;
  readonly nodeName: string;
  readonly supervisor: Pick<Supervisor, 'machines'>;
  readonly log: Logger;
}): Promise<void> {
  const { items } = await client.list(virtualMachines, { fieldSelector: `spec.nodeName=${nodeName}` });
  // A warm machine that was claimed runs under its own uid until it has been handed over.
  const bound = new Map<string, VirtualMachine>(items.flatMap((vm) => identitiesOf(vm).map((uid) => [uid, vm] as const)));
  const lost = supervisor.machines.filter(({ uid, state }) => {
    const vm = bound.get(uid);
    return isLive(state) && (!vm || isGivenUp(vm, state.run.incarnation));
  });
  for (const machine of lost) {
    log.warn({ vm: machine.uid }, 'The machine was given away while this node was out of touch; its process is killed');
    machine.kill();
  }
  const isDead = (): boolean => lost.every(({ state }) => !isLive(state));
  await untilOrDeadline(isDead, KILL_DEADLINE_MS);
  if (!isDead()) throw new Error('A machine that was given away does not die');
}

/** Under which uids a machine may be known here. */
export const identitiesOf = ({ metadata, status }: VirtualMachine): readonly string[] =>
  status?.claim?.virtualMachine ? [metadata.uid, status.claim.virtualMachine.uid] : [metadata.uid];

/** Tells once when a right ends, each time it does. */
export class Expiry {
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly remainingMs: () => number,
    private readonly onExpired: () => void,
  ) {}

  /** Call when the right was extended. */
  watch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.remainingMs() > 0 ? this.watch() : this.onExpired()), Math.ceil(this.remainingMs()));
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
