import { readFrame, resizeFrame, stdinFrame } from './exec-channels.ts';

const frame = (channel: number, text: string): Uint8Array =>
  new Uint8Array([channel, ...new TextEncoder().encode(text)]);
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes.subarray(1));

describe('exec channels', () => {
  it('put typing on channel 0 as UTF-8 and the size of the terminal on channel 4', () => {
    expect(stdinFrame('é')).toEqual(new Uint8Array([0, 0xc3, 0xa9]));
    expect(resizeFrame(80, 24)[0]).toBe(4);
    expect(JSON.parse(text(resizeFrame(80, 24)))).toEqual({ Width: 80, Height: 24 });
  });

  it.each([
    ['stdout is output', frame(1, 'hi'), { type: 'Output', bytes: new TextEncoder().encode('hi') }],
    ['stderr is output too', frame(2, 'no'), { type: 'Output', bytes: new TextEncoder().encode('no') }],
    ['Success ends with 0', frame(3, '{"status":"Success"}'), { type: 'Ended', exitCode: 0, message: '' }],
    [
      'a failure ends with its exit code',
      frame(3, '{"status":"Failure","message":"ended","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}'),
      { type: 'Ended', exitCode: 3, message: 'ended' },
    ],
    [
      'a failure without one says why',
      frame(3, '{"status":"Failure","message":"agent gone"}'),
      { type: 'Ended', exitCode: undefined, message: 'agent gone' },
    ],
    ['what is no Status is shown as it is', frame(3, 'boom'), { type: 'Ended', exitCode: undefined, message: 'boom' }],
    ['other channels are nobody’s', frame(9, ''), { type: 'Other' }],
    ['an empty message is nobody’s', new Uint8Array(), { type: 'Other' }],
  ])('%s', (_title, bytes, expected) => {
    expect(readFrame(bytes)).toEqual(expected);
  });
});
