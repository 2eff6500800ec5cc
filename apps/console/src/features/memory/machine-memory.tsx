import type { VirtualMachine, VirtualMachineSnapshot } from '@corral/contracts';
import { formatSize, splitSize } from '@corral/ui';
import type { ReactElement, ReactNode } from 'react';
import { en } from '../../messages/en.ts';
import { memory as words } from '../../messages/memory.en.ts';
import { Section } from '../machine/section.tsx';
import { MemoryBar } from './memory-bar.tsx';
import { figuresOf, toldMemory, type MemoryStatus } from './memory-figures.ts';
import { Paging } from './paging.tsx';

const MIB = 2 ** 20;

/** Where one machine's memory is: one number first, then all of it. */
export function MachineMemory({ vm, snapshots, sharers }: {
  readonly vm: VirtualMachine;
  readonly snapshots: readonly VirtualMachineSnapshot[];
  /** How many other machines hold what it shares. */
  readonly sharers: number;
}): ReactElement {
  const { memoryMiB, phase, residentBytes, nodeName } = vm.status ?? {};
  const total = memoryMiB === undefined ? undefined : memoryMiB * MIB;
  const runs = phase === 'Running' || phase === 'Paused';
  const told = toldMemory(vm);
  return (
    <Section title={words.title} aside={<span className="text-12 text-ink2">{formatSize(total)}</span>}>
      {phase === 'Hibernated' ? (
        <Asleep vm={vm} snapshots={snapshots} />
      ) : told ? (
        <>
          <Figure bytes={told.privateBytes}>{words.own}</Figure>
          <Told told={told} sharers={sharers} />
        </>
      ) : runs && residentBytes !== undefined ? (
        <>
          <Figure bytes={residentBytes}>{words.heldOn(nodeName ?? en.none)}</Figure>
          <p className="text-12 text-ink2">{words.guestSees(formatSize(total))}</p>
        </>
      ) : (
        <p className="text-ink2">{runs ? words.notMeasured : words.notHeld}</p>
      )}
    </Section>
  );
}

function Figure({ bytes, children }: { readonly bytes: number; readonly children: ReactNode }): ReactElement {
  const { value, unit } = splitSize(bytes);
  return (
    <p className="flex flex-wrap items-baseline gap-x-2">
      <span className="text-22 font-strong tracking-tight whitespace-nowrap">
        {value} {unit}
      </span>
      <span className="text-ink2">{children}</span>
    </p>
  );
}

function Told({ told, sharers }: { readonly told: MemoryStatus; readonly sharers: number }): ReactElement {
  const figures = figuresOf([told]);
  const { budgetBytes } = told;
  return (
    <>
      <MemoryBar figures={figures} sharers={sharers} mark={budgetBytes === undefined ? undefined : { bytes: budgetBytes, label: words.budget }} />
      <p className="text-12 text-ink2">
        {budgetBytes === undefined ? words.noBudget : words.holds(formatSize(told.heldBytes), formatSize(budgetBytes))}
      </p>
      <Paging figures={figures} />
      {told.pager === 'Refused' && <p className="text-12 text-attention">{words.refused(told.pagerReason ?? '')}</p>}
    </>
  );
}

/** The last tier: nothing of it is in any memory. */
function Asleep({ vm, snapshots }: { readonly vm: VirtualMachine; readonly snapshots: readonly VirtualMachineSnapshot[] }): ReactElement {
  const { hibernation } = vm.status ?? {};
  const stored = hibernation?.storedAt === undefined ? undefined : snapshots.find(({ metadata }) => metadata.name === hibernation.snapshot);
  const nodeName = vm.spec?.nodeName;
  return (
    <>
      {stored?.status?.sizeBytes !== undefined && <Figure bytes={stored.status.sizeBytes}>{words.asleep}</Figure>}
      <p className="text-12 text-ink2">{hibernation?.storedAt === undefined ? words.asleepOn(nodeName ?? en.none) : words.asleepInS3(nodeName)}</p>
    </>
  );
}
