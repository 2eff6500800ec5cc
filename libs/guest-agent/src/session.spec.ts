import { Execution } from './execution.ts';
import { GuestFiles } from './files.ts';
import { encodeFrame, FrameDecoder, FrameFlag, GuestFrame, HostFrame, type Frame } from './frame.ts';
import { AgentSession } from './session.ts';

/** A session whose other end and whose clock are in the test's hand. */
function aSession() {
  const sent: Frame[] = [];
  const events: string[] = [];
  let now = 0;
  let timers: { readonly at: number; readonly call: () => void }[] = [];
  const wire = new FrameDecoder();
  const port = {
    write: (message: Uint8Array) => void sent.push(...wire.push(message).map((frame) => ({ ...frame, payload: frame.payload.slice() }))),
    waitingBytes: 0,
  };
  const session = new AgentSession({
    port,
    timers: {
      after: (milliseconds, call) => {
        const timer = { at: now + milliseconds, call };
        timers.push(timer);
        return () => void (timers = timers.filter((other) => other !== timer));
      },
    },
    randomBytes: (count) => Uint8Array.from({ length: count }, (_, index) => index + 1),
    freshness: () => ({ epochMilliseconds: 0, seed: new Uint8Array(32), hostname: 'demo', machineId: '0', macAddress: '02:00:00:00:00:01' }),
    events: { onAnswered: () => events.push('answered'), onSilent: () => events.push('silent') },
  });
  const answer = (frame: Partial<Frame>): void =>
    session.receive(encodeFrame({ type: 0, flags: 0, epoch: sent.at(-1)?.epoch ?? 0, channel: 0, payload: new Uint8Array(0), ...frame }));
  return {
    session, port, sent, events, answer,
    answerHello: () => answer({ type: GuestFrame.Hello, payload: Uint8Array.of(...(sent.find(({ type }) => type === HostFrame.Hello)?.payload.subarray(0, 8) ?? []), ...new Uint8Array(12)) }),
    pass: (milliseconds: number) => {
      const until = now + milliseconds;
      for (;;) {
        const next = timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        now = next.at;
        timers = timers.filter((timer) => timer !== next);
        next.call();
      }
      now = until;
    },
  };
}

it('greets until the agent answers, and then no more', () => {
  const { session, sent, events, pass, answerHello } = aSession();
  session.connect();
  pass(1000);
  const greetings = sent.length;
  expect(greetings).toBeGreaterThan(2);
  expect(new Set(sent.map(({ epoch }) => epoch))).toEqual(new Set([0x0201]));
  answerHello();
  expect(events).toEqual(['answered']);
  expect(session.available).toBe(true);
  pass(5000);
  expect(sent).toHaveLength(greetings);
});

it('heaps no greetings up for a guest that takes none', () => {
  const { session, sent, port, pass } = aSession();
  session.connect();
  port.waitingBytes = 200;
  pass(60_000);
  expect(sent).toHaveLength(1);
});

it('heaps no greetings up for an agent that says again and again that it is up, and greets it when it listens', () => {
  const { session, sent, port, pass, answer } = aSession();
  session.connect();
  port.waitingBytes = 200;
  for (let life = 0; life < 1000; life += 1) answer({ type: GuestFrame.Hello, flags: FrameFlag.End, epoch: 0 });
  expect(sent).toHaveLength(1);
  port.waitingBytes = 0;
  pass(50);
  expect(sent).toHaveLength(2);
});

it('tells a guest that was paused before it answered the time anew', () => {
  const { session, sent, port } = aSession();
  session.connect();
  port.waitingBytes = 200;
  session.suspend();
  session.resume();
  expect(sent.map(({ type }) => type)).toEqual([HostFrame.Hello, HostFrame.Hello]);
});

it('believes no answer to somebody else’s greeting', () => {
  const { session, events, answer } = aSession();
  session.connect();
  answer({ type: GuestFrame.Hello, payload: new Uint8Array(20) });
  expect(events).toEqual([]);
});

it('says once that the agent is silent, and once that it is back', () => {
  const { session, events, pass, sent, answer, answerHello } = aSession();
  session.connect();
  answerHello();
  pass(120_000);
  expect(events).toEqual(['answered', 'silent']);
  answer({ type: GuestFrame.Pong, channel: sent.at(-1)?.channel ?? 0 });
  pass(5000);
  expect(events).toEqual(['answered', 'silent', 'answered']);
});

it('does not call a busy agent silent', () => {
  const { session, events, pass, answer, answerHello } = aSession();
  session.connect();
  answerHello();
  for (let turn = 0; turn < 20; turn += 1) {
    pass(9000);
    answer({ type: GuestFrame.Out, channel: 99 });
  }
  expect(events).toEqual(['answered']);
});

it('drops frames of an earlier session', async () => {
  const { session, sent, answer, answerHello } = aSession();
  session.connect();
  answerHello();
  const stat = session.request(HostFrame.Stat, new Uint8Array(0));
  const { channel = 0, epoch = 0 } = sent.at(-1) ?? {};
  answer({ type: GuestFrame.Reply, channel, epoch: epoch + 1, payload: Uint8Array.of(2, 0, 0, 0) });
  answer({ type: GuestFrame.Reply, channel, epoch, payload: Uint8Array.of(0, 0, 0, 0, 7) });
  await expect(stat).resolves.toEqual(Uint8Array.of(7));
});

it('fails what was under way when the agent starts anew, and greets it', async () => {
  const { session, sent, answer, answerHello } = aSession();
  session.connect();
  answerHello();
  const stat = session.request(HostFrame.Stat, new Uint8Array(0));
  answer({ type: GuestFrame.Hello, flags: FrameFlag.End, epoch: 0 });
  await expect(stat).rejects.toThrow('began anew');
  expect(sent.at(-1)?.type).toBe(HostFrame.Hello);
  expect(session.available).toBe(false);
});

it('asks for output only as fast as it is consumed', async () => {
  const { session, sent, answer, answerHello } = aSession();
  session.connect();
  answerHello();
  const gate = Promise.withResolvers<undefined>();
  const execution = new Execution(session, { command: ['yes'], env: {}, cwd: '', timeoutMs: 0, stdin: false, onOutput: () => gate.promise });
  const { channel = 0 } = sent.at(-1) ?? {};
  for (let chunk = 0; chunk < 8; chunk += 1) answer({ type: GuestFrame.Out, channel, payload: new Uint8Array(32_000) });
  answer({ type: GuestFrame.Exit, channel, payload: new Uint8Array(16) });
  await Promise.resolve();
  expect(sent.some(({ type }) => type === HostFrame.Credit)).toBe(false);
  gate.resolve(undefined);
  await expect(execution.exited).resolves.toEqual({ exitCode: 0, timedOut: false });
});

it('sends no more input than the guest said it takes', async () => {
  const { session, sent, answer, answerHello } = aSession();
  session.connect();
  answerHello();
  const execution = new Execution(session, { command: ['cat'], env: {}, cwd: '', timeoutMs: 0, stdin: true, onOutput: () => undefined });
  const { channel = 0 } = sent.at(-1) ?? {};
  const written = execution.write(new Uint8Array(100_000));
  const bytesSent = (): number => sent.filter(({ type }) => type === HostFrame.Data).reduce((sum, { payload }) => sum + payload.length, 0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(bytesSent()).toBe(65_536);
  answer({ type: GuestFrame.Credit, channel, payload: Uint8Array.of(0, 0, 1, 0) });
  await written;
  expect(bytesSent()).toBe(100_000);
});

it('keeps nothing of what was sent without credit, and ends the command', async () => {
  const { session, sent, answer, answerHello } = aSession();
  session.connect();
  answerHello();
  const execution = new Execution(session, {
    command: ['yes'], env: {}, cwd: '', timeoutMs: 0, stdin: false,
    onOutput: () => new Promise(() => undefined),
  });
  const { channel = 0 } = sent.at(-1) ?? {};
  for (let chunk = 0; chunk < 10; chunk += 1) answer({ type: GuestFrame.Out, channel, payload: new Uint8Array(32_000) });
  await expect(execution.exited).rejects.toMatchObject({ code: 'EPROTO' });
  expect(sent.at(-1)).toMatchObject({ type: HostFrame.Close, channel });
});

it('believes no credit beyond what an agent takes', async () => {
  const { session, sent, answer, answerHello } = aSession();
  session.connect();
  answerHello();
  const execution = new Execution(session, { command: ['cat'], env: {}, cwd: '', timeoutMs: 0, stdin: true, onOutput: () => undefined });
  const { channel = 0 } = sent.at(-1) ?? {};
  answer({ type: GuestFrame.Credit, channel, payload: Uint8Array.of(255, 255, 255, 255) });
  void execution.write(new Uint8Array(1_000_000));
  await new Promise((resolve) => setImmediate(resolve));
  expect(sent.filter(({ type }) => type === HostFrame.Data).reduce((sum, { payload }) => sum + payload.length, 0)).toBe(65_536);
});

it.each([
  ['takes no notice of empty output', 0, 1_000_000, false],
  ['keeps the output of a command that prints a few bytes at a time', 16, 16_384, false],
  ['ends a command that heaps up tiny frames', 1, 16_385, true],
])('%s', async (_what, bytes, frames, ends) => {
  const { session, sent, answerHello } = aSession();
  session.connect();
  answerHello();
  const execution = new Execution(session, { command: ['yes'], env: {}, cwd: '', timeoutMs: 0, stdin: false, onOutput: () => new Promise(() => undefined) });
  const { channel = 0, epoch = 0 } = sent.at(-1) ?? {};
  const sentBefore = sent.length;
  const frame = encodeFrame({ type: GuestFrame.Out, flags: 0, epoch, channel, payload: new Uint8Array(bytes) });
  const many = new Uint8Array(frame.length * 1000);
  for (let at = 0; at < 1000; at += 1) many.set(frame, at * frame.length);
  for (let left = frames; left > 0; left -= 1000) session.receive(many.subarray(0, Math.min(left, 1000) * frame.length));
  expect(sent.length - sentBefore).toBe(ends ? 1 : 0);
  if (ends) await expect(execution.exited).rejects.toMatchObject({ code: 'EPROTO' });
  else execution.kill();
});

it('ends a listing that names more than fits in memory', async () => {
  const { session, sent, answer, answerHello } = aSession();
  session.connect();
  answerHello();
  const listed = new GuestFiles(session).list('/endless', new AbortController().signal);
  const { channel = 0 } = sent.at(-1) ?? {};
  const name = 30_000;
  const payload = new Uint8Array(3 + name).fill(0x78);
  payload.set([8, name & 0xff, name >> 8]);
  for (let frame = 0; frame < 280; frame += 1) answer({ type: GuestFrame.Out, channel, payload });
  await expect(listed).rejects.toMatchObject({ code: 'EOVERFLOW' });
  expect(sent.at(-1)).toMatchObject({ type: HostFrame.Close, channel });
});

it('lets go of file operations that are given up, in the guest as well', async () => {
  const { session, sent, answerHello } = aSession();
  session.connect();
  answerHello();
  const files = new GuestFiles(session);
  const abort = new AbortController();
  const nothing = (async function* (): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(new Uint8Array(1));
  })();
  const stuck = [files.list('/a', abort.signal), files.read('/b', abort.signal), files.write('/c', 0o644, nothing, abort.signal)];
  await new Promise((resolve) => setImmediate(resolve));
  const opened = new Set(sent.map(({ channel }) => channel).filter((channel) => channel > 0));
  expect(opened.size).toBe(3);
  abort.abort(new Error('enough'));
  for (const each of stuck) await expect(each).rejects.toThrow('enough');
  expect(new Set(sent.filter(({ type }) => type === HostFrame.Close).map(({ channel }) => channel))).toEqual(opened);
});

it('gives up what an agent that falls silent does not finish, and takes new requests when it is back', async () => {
  const { session, sent, pass, answer, answerHello } = aSession();
  session.connect();
  answerHello();
  const options = { command: ['sleep'], env: {}, cwd: '', timeoutMs: 0, stdin: false, onOutput: () => undefined };
  const stuck = Array.from({ length: 56 }, () => new Execution(session, options));
  expect(() => new Execution(session, options)).toThrow('under way');
  pass(60_000);
  for (const { exited } of stuck) await expect(exited).rejects.toThrow('silent');
  expect(sent.filter(({ type }) => type === HostFrame.Close).length).toBeGreaterThanOrEqual(56);
  answer({ type: GuestFrame.Pong, channel: 1 });
  expect(session.available).toBe(true);
  expect(() => new Execution(session, options)).not.toThrow();
});
