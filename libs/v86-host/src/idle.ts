import type { V86Cpu, V86Machine } from './v86.internals.ts';

/** Upstream's run_hardware_timers says 100 when a timer device has nothing due. */
const NOTHING_DUE_MS = 100;
/** Bounds how far the guest's clocks may lag behind when nothing wakes it. */
const LONGEST_NAP_MS = 1000;
const NEVER_MS = 1e9;
const ACPI_TIMER_ENABLED = 1;

/**
 * Lets an idle guest cost nothing. Upstream yields by setImmediate for anything under 1 ms, which spins while a timer is
 * nearly due; and it wakes up ten times a second because a device with nothing due answers "in 100 ms". Interrupts wake
 * the loop at once either way. Answers what ends the nap of a machine that will not run again: until then the timer keeps
 * the machine in memory.
 */
export function napWhenIdle(machine: V86Machine): () => void {
  let nap: NodeJS.Timeout | undefined;
  machine.yield = (milliseconds, tick) => {
    if (milliseconds <= 0) setImmediate(() => machine.yield_callback(tick));
    else nap = setTimeout(() => machine.yield_callback(tick), Math.ceil(milliseconds));
  };
  const { cpu } = machine;
  cpu.run_hardware_timers = (acpiEnabled, now) => Math.max(0, nextTimerMs(cpu, acpiEnabled, now));
  return () => clearTimeout(nap);
}

function nextTimerMs(cpu: V86Cpu, acpiEnabled: boolean, now: number): number {
  const { pit, rtc, acpi } = cpu.devices;
  const pitMs = pit.timer(now, false);
  const rtcMs = rtc.timer(now, false);
  const due = [
    pit.counter_enabled[0] ? pitMs : NEVER_MS,
    rtc.periodic_interrupt || rtc.next_interrupt_alarm || rtc.update_interrupt ? rtcMs : NEVER_MS,
  ];
  if (acpiEnabled && acpi) {
    acpi.timer(now);
    const apicMs = cpu.apic_timer(now);
    due.push(
      apicMs === NOTHING_DUE_MS ? NEVER_MS : apicMs,
      acpi.pm1_enable & ACPI_TIMER_ENABLED ? LONGEST_NAP_MS : NEVER_MS,
    );
  }
  return Math.min(...due, LONGEST_NAP_MS);
}
