import fc from 'fast-check';
import { PanicDetector, panicOnScreen } from './panic.ts';

const text = new TextEncoder();

it('finds a panic however its line was cut, and says it once', () => {
  const log = text.encode('[ 1.0] usb 1-1\r\n[ 2.0] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n[ 2.1] CPU: 0 PID: 1\r\n');
  fc.assert(
    fc.property(fc.array(fc.nat(log.length), { maxLength: 10 }), (cuts) => {
      const detector = new PanicDetector();
      const found: string[] = [];
      let from = 0;
      for (const cut of [...cuts.sort((a, b) => a - b), log.length]) {
        const message = detector.see(log.subarray(from, cut));
        if (message !== undefined) found.push(message);
        from = cut;
      }
      expect(found).toEqual(['VFS: Unable to mount root fs']);
    }),
  );
});

it('sees no panic in ordinary words', () => {
  expect(new PanicDetector().see(text.encode('do not panic - not syncing\r\nKernel panic\r\n'))).toBeUndefined();
  expect(panicOnScreen(['~ # dmesg | grep panic'])).toBeUndefined();
});

it('finds it on a text screen', () => {
  expect(panicOnScreen(['', '[ 2.0] Kernel panic - not syncing: Attempted to kill init!'])).toBe('Attempted to kill init!');
});

it('remembers little of a console that never ends a line', () => {
  const detector = new PanicDetector();
  for (let turn = 0; turn < 100; turn += 1) detector.see(new Uint8Array(10_000).fill(65));
  expect(detector.see(text.encode('Kernel panic - not syncing: x\n'))).toBe('x');
});
