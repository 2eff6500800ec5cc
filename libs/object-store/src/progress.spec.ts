import { jest } from '@jest/globals';
import { ProgressDeadline } from './progress.ts';

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

it('passes only when nothing moved for so long', () => {
  const deadline = new ProgressDeadline('Upload', 1_000);
  jest.advanceTimersByTime(900);
  deadline.advance();
  jest.advanceTimersByTime(900);
  expect(deadline.signal.aborted).toBe(false);
  jest.advanceTimersByTime(100);
  expect(deadline.signal.reason).toMatchObject({ reason: 'Timeout' });
});

it('is over once it has ended, whatever moves after that', () => {
  const deadline = new ProgressDeadline('Upload', 1_000);
  deadline.end();
  deadline.advance();
  expect(jest.getTimerCount()).toBe(0);
});
