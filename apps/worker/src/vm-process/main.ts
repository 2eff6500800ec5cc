import { setImmediate as nextTurn } from 'node:timers/promises';
import type { VmProcessInput, VmProcessOutput } from '@corral/contracts';
import { HostMemory, MEMORY_MODES } from '@corral/memory';
import { preloadV86, warmUp } from '@corral/v86-host';
import { BuiltAhead } from './built-ahead.ts';
import { DataPlaneServer } from './data-plane.server.ts';
import { toFailure, VmFailure } from './failure.ts';
import { IdleTrim, LOOK_EVERY_MS } from './idle-trim.ts';
import { trimProcess } from './process-memory.ts';
import { rehearse } from './rehearsal.ts';
import { Vm } from './vm.ts';

/** The process in which one machine is emulated. Speaks libs/contracts/src/vm-process.ts with the node agent that forked it. */
const EMULATOR_FAILED_EXIT_CODE = 70;
const wished = process.env['CORRAL_MEMORY_MODE'] ?? 'Full';
const atBest = MEMORY_MODES.find((mode) => mode === wished);
if (atBest === undefined) {
  process.stderr.write(`corral VM process: CORRAL_MEMORY_MODE must be one of ${MEMORY_MODES.join(', ')}\n`);
  process.exit(1);
}
const host = HostMemory.probe({ atBest });
const ahead = new BuiltAhead();
let vm: Vm | undefined;

function tell(output: VmProcessOutput): void {
  process.send?.(output);
}

function end(reason: 'GuestPoweredOff' | 'EmulatorFailed', message: string): void {
  const exitCode = reason === 'EmulatorFailed' ? EMULATOR_FAILED_EXIT_CODE : 0;
  process.send?.({ type: 'Ended', reason, message } satisfies VmProcessOutput, () => process.exit(exitCode));
}

async function handle(input: VmProcessInput): Promise<void> {
  if (input.type === 'Start') {
    if (vm) throw new VmFailure('Internal', 'the machine was started already');
    const started = new Vm(input.config, { tell, end }, host, ahead);
    vm = started;
    await new DataPlaneServer(started).listen(input.config.socketPath);
    await started.start(input.from);
    watchActivity(started);
    return tell({ type: 'Reply', requestId: input.requestId, ok: true });
  }
  if (input.type === 'Rehearse') {
    if (vm) throw new VmFailure('Internal', 'the machine was started already');
    await ahead.build(await rehearse(input.config, input.from, host, ahead));
    // In a turn of its own, when nothing refers to the rehearsed machine any more.
    await nextTurn();
    trimProcess(host.memory);
    return tell({ type: 'Reply', requestId: input.requestId, ok: true });
  }
  if (!vm) throw new VmFailure('NotStarted', 'the machine has not been started');
  switch (input.type) {
    case 'Identify':
      await vm.identify(input.identity);
      break;
    case 'Pause':
      await vm.pause();
      break;
    case 'Resume':
      await vm.resume();
      break;
    case 'Snapshot': {
      const snapshot = await vm.snapshot(input.directory, input.lost);
      return tell({ type: 'Reply', requestId: input.requestId, ok: true, snapshot });
    }
    case 'Hibernate': {
      const snapshot = await vm.hibernate(input.directory, input.screenDirectory, input.ifIdle, input.lost);
      return tell({ type: 'Reply', requestId: input.requestId, ok: true, snapshot });
    }
    case 'Freeze': {
      const frozen = await vm.freeze(input.directory);
      return tell({ type: 'Reply', requestId: input.requestId, ok: true, frozen });
    }
    case 'BuildOn':
      await vm.buildOn(input.directory);
      break;
    case 'ReleaseFrozen':
      vm.releaseFrozen(input.directory);
      break;
    case 'SetMemoryBudget':
      vm.setMemoryBudget(input.budgetBytes ?? undefined);
      break;
    case 'Stop':
      await vm.stop(input.graceMs);
      process.send?.({ type: 'Reply', requestId: input.requestId, ok: true } satisfies VmProcessOutput, () => process.exit(0));
      return;
  }
  tell({ type: 'Reply', requestId: input.requestId, ok: true });
}

function watchActivity(started: Vm): void {
  const trim = new IdleTrim();
  setInterval(() => {
    started.activity.look(started.emulator().instructions);
    if (!trim.look(usedSoFar())) return;
    started.trim();
    trim.trimmed(usedSoFar());
  }, LOOK_EVERY_MS);
}

function usedSoFar(): { readonly atMs: number; readonly cpuMs: number } {
  const { user, system } = process.cpuUsage();
  return { atMs: performance.now(), cpuMs: (user + system) / 1_000 };
}

// v86 throws out of a timer when a guest drives it into a corner; nothing in this process can be trusted then.
process.on('uncaughtException', (error) => {
  console.error(error);
  end('EmulatorFailed', toFailure(error).message);
});
process.on('unhandledRejection', (error) => {
  console.error(error);
  end('EmulatorFailed', toFailure(error).message);
});
process.on('disconnect', () => process.exit(0));
process.on('message', (input: VmProcessInput) => {
  handle(input).catch((error: unknown) => {
    const { reason, message } = toFailure(error);
    if (reason === 'Internal') console.error(error);
    tell({ type: 'Reply', requestId: input.requestId, ok: false, reason, message });
  });
});
await preloadV86();
// The pool names the firmware its machines will have; without it the first commands are slower, and nothing else.
const [biosPath, vgaBiosPath] = process.argv.slice(2);
if (biosPath !== undefined && vgaBiosPath !== undefined) await warmUp({ biosPath, vgaBiosPath });
tell({ type: 'Waiting' });
