import type { MachineConfig, StartFrom } from '@corral/contracts';
import type { ProbedMemory } from '@corral/memory';
import type { EmulatorHardware } from '@corral/v86-host';
import type { BuiltAhead } from './built-ahead.ts';
import { DataPlaneServer } from './data-plane.server.ts';
import { VmFailure } from './failure.ts';
import { request } from './lean-http.ts';
import { Vm } from './vm.ts';

const ANSWER_DEADLINE_MS = 10_000;
/** After so many V8 has compiled what a first command needs. */
const COMMANDS = 3;

/**
 * Goes through a whole start with a machine that is thrown away: restored, greeted, asked to run a few commands over its own
 * socket. What the process does for its real machine has then been compiled. Answers the devices that one will have.
 */
export async function rehearse(config: MachineConfig, from: StartFrom, host: ProbedMemory, ahead: BuiltAhead): Promise<EmulatorHardware> {
  const answered = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => answered.reject(new VmFailure('Internal', 'the rehearsed machine does not answer')), ANSWER_DEADLINE_MS);
  const vm = new Vm(
    config,
    {
      tell: ({ type }) => (type === 'AgentAnswered' ? answered.resolve(undefined) : undefined),
      end: (reason, message) => answered.reject(new VmFailure('Internal', `the rehearsed machine ended: ${reason}: ${message}`)),
    },
    host,
    ahead,
  );
  const server = new DataPlaneServer(vm);
  try {
    await server.listen(config.socketPath);
    await vm.start(from);
    await answered.promise;
    for (let count = 0; count < COMMANDS; count += 1) await runCommand(config.socketPath);
    return vm.hardware;
  } finally {
    clearTimeout(timer);
    await server.close();
    await vm.discard();
  }
}

function runCommand(socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method: 'POST', path: '/exec', timeout: ANSWER_DEADLINE_MS }, (response) => {
      response.on('end', () => resolve()).on('error', reject).resume();
    });
    sent.on('error', reject).on('timeout', () => sent.destroy(new Error('the rehearsed machine does not answer')));
    sent.end(JSON.stringify({ command: ['sh', '-c', 'echo rehearsed'] }));
  });
}
