/** What the brake knows of a node. */
export interface NodePulse {
  readonly name: string;
  /** Its Lease has not been renewed for half its term or longer: it may be about to be called silent. */
  readonly isMissing: boolean;
  /** It said that it stops before it fell silent. */
  readonly hasLeft: boolean;
}

/** Above this share of nodes missing together, it is rather we who cannot see them. Source: Kubernetes, unhealthy-zone-threshold. */
const UNHEALTHY_SHARE = 0.55;
/** So few may well fail on their own, whatever share of all they are. Source: Kubernetes, ComputeZoneState. */
const FEW = 2;

export type EvictionMode = 'Limited' | 'Stopped';

/**
 * Whether machines may be taken from silent nodes at all. Never when most nodes vanish together, and never when none is left
 * that could take them: what is out of sight is likely still running.
 */
export function evictionMode(nodes: readonly NodePulse[]): EvictionMode {
  const expected = nodes.filter(({ hasLeft }) => !hasLeft);
  const missing = expected.filter(({ isMissing }) => isMissing).length;
  if (missing === expected.length) return 'Stopped';
  return missing > FEW && missing / expected.length >= UNHEALTHY_SHARE ? 'Stopped' : 'Limited';
}

/**
 * The mode over time. Nodes that vanished together come back one after the other, and the first of them releases the brake: so
 * whoever is silent then has a whole term again in which to come back. The clock is the caller's, and never goes back.
 * Source: Kubernetes, which renews every node's probe time when a zone leaves full disruption.
 */
export class EvictionBrake {
  #isOn = false;
  #releasedAt = -Infinity;

  get isOn(): boolean {
    return this.#isOn;
  }

  observe(nodes: readonly NodePulse[], now: number): EvictionMode {
    const mode = evictionMode(nodes);
    const wasOn = this.#isOn;
    this.#isOn = mode === 'Stopped';
    if (wasOn && !this.#isOn) this.#releasedAt = now;
    return mode;
  }

  /** How long a silent node, whose term is `graceMs`, may not pass yet because the brake was just released; 0 when it may. */
  waitMs(graceMs: number, now: number): number {
    return Math.max(0, this.#releasedAt + graceMs - now);
  }
}

/** Lets one node pass at once and then so many a minute. The clock is the caller's, and never goes back. */
export class EvictionRate {
  readonly #intervalMs: number;
  #nextAt = -Infinity;

  constructor(perMinute: number) {
    this.#intervalMs = 60_000 / perMinute;
  }

  /** 0 when a node may pass now, which is counted; else how long to wait before asking again. */
  take(now: number): number {
    if (now < this.#nextAt) return this.#nextAt - now;
    this.#nextAt = now + this.#intervalMs;
    return 0;
  }

  /** The node that was let pass at `takenAt` did not, after all. */
  giveBack(takenAt: number): void {
    if (this.#nextAt === takenAt + this.#intervalMs) this.#nextAt = takenAt;
  }
}
