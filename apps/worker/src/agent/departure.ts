import { untilOrDeadline, within } from './deadline.ts';

export interface DepartureSteps {
  /** Begins to suspend every machine. */
  suspend(): void;
  areSuspended(): boolean;
  /** Tells the API that nothing more is to be bound to this node. */
  announce(): Promise<unknown>;
  /** Ends work of the node that no machine waits for, however long that takes. */
  readonly sideWork: readonly (() => Promise<unknown>)[];
  /** Whether the API was told of every machine's end. */
  isReported(): boolean;
  /** Ends the reports, and last of all the lease: until then nobody takes the node for lost. */
  farewell(): Promise<unknown>;
}

/** How long the parts may take: together with closing, less than the 30 s or so after which service managers kill. */
export const DEPARTURE_DEADLINES = { suspendMs: 16_000, goodbyeMs: 2_000 } as const;

/** Leaves in good order and in time: the machines first, everything else beside that or after it, and nothing for long. */
export async function depart(
  { suspend, areSuspended, announce, sideWork, isReported, farewell }: DepartureSteps,
  { suspendMs, goodbyeMs }: { readonly suspendMs: number; readonly goodbyeMs: number } = DEPARTURE_DEADLINES,
): Promise<void> {
  suspend();
  const beside = Promise.allSettled([announce(), ...sideWork.map((stop) => stop())]);
  await untilOrDeadline(areSuspended, suspendMs);
  await Promise.all([within(goodbyeMs, beside), untilOrDeadline(isReported, goodbyeMs)]);
  await within(goodbyeMs, farewell());
}
