import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AgentSession, Execution, powerOff } from '@corral/guest-agent';
import { guestImages, type BuiltGuestImage, type GuestImages } from '@corral/testing';
import { Emulator } from '@corral/v86-host';

const BOOT_DEADLINE_MS = 400_000;
/** busybox's shell asks the terminal where its cursor is; bash announces bracketed paste. */
const SHELL_PROMPT = /# (\x1b\[6n)?$/;

/** A machine that has booted an image, and a way to run commands in it. */
interface BootedGuest {
  sh(script: string): Promise<{ readonly exitCode: number; readonly output: string }>;
  /** What came over the first serial line so far. */
  serial(): string;
  rebooted(): boolean;
  /** Asks the guest to power off, and resolves when it has. */
  powerOff(): Promise<void>;
  dispose(): Promise<void>;
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + BOOT_DEADLINE_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within ${BOOT_DEADLINE_MS / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function boot(images: GuestImages, image: BuiltGuestImage, folder: string): Promise<BootedGuest> {
  const file = (name: string) => path.join(image.directory, image.artifacts[name]?.file ?? '');
  const media = Object.fromEntries(Object.keys(image.artifacts).map((role) => [role, file(role)]));
  let halted = false;
  let rebooted = false;
  let serial = '';
  const machine = await Emulator.create(
    {
      memoryMiB: Number.parseInt(image.memory, 10),
      firmware: {
        biosPath: path.join(images.firmwareDirectory, 'bios.bin'),
        vgaBiosPath: path.join(images.firmwareDirectory, 'vgabios.bin'),
      },
      media,
      commandLine: image.commandLine,
      overlayPath: path.join(folder, 'overlay'),
      acpi: image.acpi,
      macAddress: '02:00:00:00:00:01',
      balloon: false,
      agentPortName: 'corral.agent.0',
    },
    { onHalt: () => (halted = true), onReboot: () => (rebooted = true) },
    { boot: true },
  );
  machine.serial.onBytes = (bytes) => (serial += Buffer.from(bytes).toString('latin1'));
  let answered = false;
  const session = new AgentSession({
    port: machine.agentPort,
    timers: {
      after: (milliseconds, callback) => {
        const timer = setTimeout(callback, milliseconds);
        return () => clearTimeout(timer);
      },
    },
    randomBytes: (count) => randomBytes(count),
    freshness: () => ({
      epochMilliseconds: Date.now(),
      seed: randomBytes(64),
      hostname: 'booted',
      machineId: '0'.repeat(32),
      macAddress: '02:00:00:00:00:01',
    }),
    events: { onAnswered: () => (answered = true), onSilent: () => undefined },
  });
  machine.agentPort.onBytes = (bytes) => session.receive(bytes);
  machine.run();
  session.connect();
  await until(() => answered, `the guest agent of ${image.name} answers`);
  return {
    async sh(script) {
      const chunks: Uint8Array[] = [];
      const { exited } = new Execution(session, {
        command: ['/bin/sh', '-c', script],
        env: {},
        cwd: '',
        timeoutMs: BOOT_DEADLINE_MS,
        stdin: false,
        onOutput: (_, bytes) => void chunks.push(Uint8Array.from(bytes)),
      });
      const { exitCode } = await exited;
      return { exitCode, output: Buffer.concat(chunks).toString() };
    },
    serial: () => serial,
    rebooted: () => rebooted,
    async powerOff() {
      await powerOff(session);
      await until(() => halted, `${image.name} powers off`);
    },
    async dispose() {
      session.dispose('the test is over');
      await machine.dispose();
    },
  };
}

/** What each image promises: a command, and what it must say. */
const PROMISES: Readonly<Record<string, readonly (readonly [script: string, output: RegExp])[]>> = {
  'linux-minimal': [
    ['hostname; id -u; tty < /dev/ttyS0', /^booted\n0\n\/dev\/ttyS0\n$/],
    ['mount | cut -d" " -f3 | sort | tr "\\n" " "', /\/dev\/pts .*\/dev\/shm .*\/proc .*\/sys\/fs\/cgroup .*\/tmp/],
    ['echo to stderr > /dev/stderr', /^to stderr\n$/],
    ['cat /proc/sys/kernel/panic', /^0\n$/],
    [
      'i=0; until [ -e /sys/bus/pci/drivers/ata_piix ] || [ $i = 50 ]; do sleep 0.2; i=$((i+1)); done; ls /sys/bus/pci/drivers',
      /ata_piix/,
    ],
  ],
  'debian-dev': [
    ['df / | tail -1', /^\/dev\/sda /],
    ['python3 -c "print(6 * 7)"; node -p "6 * 7"', /^42\n42\n$/],
    [
      'printf "#include <stdio.h>\\nint main(void){puts(\\"compiled\\");}" > /tmp/a.c; gcc -o /tmp/a /tmp/a.c && /tmp/a',
      /^compiled\n$/,
    ],
    ['git --version; curl --version; make --version; dpkg --audit', /git version[^]*curl [^]*GNU Make/],
  ],
  'debian-desktop': [
    [
      'i=0; until xset -display :0 q > /dev/null 2>&1 || [ $i = 300 ]; do sleep 0.2; i=$((i+1)); done; xset -display :0 q',
      /Keyboard Control/,
    ],
    [
      'i=0; until pidof jwm xterm > /dev/null || [ $i = 100 ]; do sleep 0.2; i=$((i+1)); done; pidof jwm > /dev/null && echo jwm',
      /^jwm\n$/,
    ],
  ],
};

const images = await guestImages();
const wasBuilt = (name: string): boolean => existsSync(path.join(images.home, 'images', name, 'current.json'));

describe('a built image', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'corral-boot-'));
  }, 900_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  for (const [name, promises] of Object.entries(PROMISES)) {
    (wasBuilt(name) ? it : it.skip)(
      `${name} boots, keeps what it promises, and powers off`,
      async () => {
        const guest = await boot(images, await images.image(name), folder);
        try {
          for (const [script, output] of promises) expect((await guest.sh(script)).output).toMatch(output);
          await until(() => SHELL_PROMPT.test(guest.serial()), 'a root shell on the serial line');
          await guest.powerOff();
        } finally {
          await guest.dispose();
        }
      },
      300_000,
    );
  }

  it('stops at a kernel panic, and says so on its serial line', async () => {
    const guest = await boot(images, await images.image('linux-minimal'), folder);
    try {
      guest.sh('echo c > /proc/sysrq-trigger').catch(() => undefined);
      await until(() => guest.serial().includes('end Kernel panic - not syncing'), 'the panic is on the serial line');
      expect(guest.rebooted()).toBe(false);
    } finally {
      await guest.dispose();
    }
  }, 900_000);
});
