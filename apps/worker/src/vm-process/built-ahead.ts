import type { MachineConfig } from '@corral/contracts';
import { Emulator, type EmulatorHardware } from '@corral/v86-host';

const AGENT_PORT_NAME = 'corral.agent.0';

/** The devices of a machine, as far as they are the same for machines that are alike. A machine that is restored has the balloon of its snapshot. */
export function hardwareOf({ memoryMiB, firmware, artifacts, acpi }: MachineConfig, balloon: boolean): EmulatorHardware {
  return { memoryMiB, firmware, media: artifacts, acpi, balloon, agentPortName: AGENT_PORT_NAME };
}

/** At most one machine whose devices were built before anybody asked for it. */
export class BuiltAhead {
  #waiting: { readonly likeness: string; readonly emulator: Emulator } | undefined;

  async build(hardware: EmulatorHardware): Promise<void> {
    this.#waiting = { likeness: JSON.stringify(hardware), emulator: await Emulator.build(hardware) };
  }

  /** The machine that waits, when it has exactly these devices. It is given away once; one that does not fit is let go. */
  async take(hardware: EmulatorHardware): Promise<Emulator | undefined> {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting?.likeness === JSON.stringify(hardware)) return waiting.emulator;
    await waiting?.emulator.dispose();
    return undefined;
  }
}
