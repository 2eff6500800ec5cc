import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { nodes, Problem, toStatus, virtualMachines, withCondition, type Status, type VmPhase } from '@corral/contracts';
import { WebSocket, type ClientOptions } from 'ws';
import { authorization, eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';
import { FakeDataPlane } from '../../../test/fake-data-plane.ts';
import { registerNode } from '../../../test/fake-node.ts';
import { addTinyImage, aVm } from '../../../test/wishes.ts';

const MACHINE = '/apis/corral.dev/v1/namespaces/default/virtualmachines/demo';

describe('gateways', () => {
  let stack: ApiStack;
  const plane = new FakeDataPlane();
  beforeAll(async () => {
    stack = await startApi();
    await addTinyImage(stack);
    await registerNode(stack.agent, plane.nodeName, { dataPlaneUrl: await plane.start(stack.url) });
    plane.uid = (await stack.admin.create(virtualMachines, aVm('demo'))).metadata.uid;
    await phase('Running');
  }, 60_000);
  afterAll(async () => {
    await stack.stop();
    await plane.stop();
  }, 30_000);
  beforeEach(() => {
    plane.http.clear();
    plane.sockets.clear();
  });

  async function phase(wanted: VmPhase): Promise<void> {
    await eventually(async () => {
      const vm = await stack.agent.get(virtualMachines, 'default', 'demo');
      return vm?.spec?.nodeName !== undefined && (await stack.agent.replaceStatus(virtualMachines, { ...vm, status: { ...vm.status, phase: wanted, nodeName: 'worker-1', incarnation: plane.incarnation } }));
    }, `demo is ${wanted}`);
  }
  const post = (path: string, body: unknown): Promise<Response> =>
    stack.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: typeof body === 'string' ? body : JSON.stringify(body) });
  const statusOf = async (response: Response): Promise<Status> => (await response.json()) as Status;

  describe('exec', () => {
    const answer = { exitCode: 0, stdout: 'Linux\n', stderr: '', durationMilliseconds: 7, timedOut: false, stdoutTruncated: false, stderrTruncated: false };

    it('carries the command with its defaults to the node, and the result back', async () => {
      let received: unknown;
      plane.http.set('POST exec', async (request, response) => {
        received = JSON.parse(Buffer.concat(await Readable.from(request).toArray()).toString());
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      });
      const response = await post(`${MACHINE}/exec`, { command: ['uname'] });
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual(answer);
      expect(received).toEqual({ command: ['uname'], stdin: '', env: {}, cwd: '', timeoutSeconds: 60 });
    });

    it('names every wrong field at once', async () => {
      const response = await post(`${MACHINE}/exec`, { command: [], timeoutSeconds: -1, env: { A: 1 }, shell: 'bash' });
      expect(response.status).toBe(422);
      const { details } = await statusOf(response);
      expect(details?.causes?.map(({ field, reason }) => [field, reason]).sort()).toEqual([
        ['command', 'FieldValueInvalid'], ['env.A', 'FieldValueTypeInvalid'], ['shell', 'FieldUnknown'], ['timeoutSeconds', 'FieldValueInvalid'],
      ]);
      expect((await statusOf(await post(`${MACHINE}/exec`, {}))).details?.causes).toMatchObject([{ field: 'command', reason: 'FieldValueRequired' }]);
    });

    it.each([['nothing', '', 400], ['no JSON', '{"command"', 400], ['a list', '[]', 422], ['too much', `{"command":["x"],"stdin":"${'x'.repeat(4 * 1024 * 1024)}"}`, 413]])('refuses %s', async (_what, body, status) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const send = async (text: string): Promise<number | undefined> => {
        const request = httpRequest(`${stack.url}${MACHINE}/exec`, { method: 'POST', headers: authorization, agent });
        request.end(text);
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        response.resume();
        await once(response, 'end');
        return response.statusCode;
      };
      expect(await send(body)).toBe(status);
      // And the connection is good for the next request.
      expect(await send('{}')).toBe(422);
      agent.destroy();
    });

    it('passes the node’s refusals on as they are', async () => {
      plane.http.set('POST exec', (_request, response) => {
        const status = toStatus(new Problem('vm.no-guest-agent', 'the guest has no agent'));
        response.writeHead(status.code, { 'content-type': 'application/json' }).end(JSON.stringify(status));
      });
      const response = await post(`${MACHINE}/exec`, { command: ['x'] });
      expect([response.status, (await statusOf(response)).reason]).toEqual([409, 'GuestAgentUnavailable']);
    });

    it('says of a node that may not serve for the moment when to come again, not that the machine does not run', async () => {
      plane.isFenced = true;
      const answers = await Promise.all([post(`${MACHINE}/exec`, { command: ['x'] }), stack.fetch(`${MACHINE}/screenshot`)]);
      plane.isFenced = false;
      for (const answer of answers) expect([answer.status, answer.headers.get('retry-after'), (await statusOf(answer)).reason]).toEqual([503, '2', 'NodeFenced']);
    });

    it('ends the command when the caller goes away', async () => {
      let arrived = false;
      let ended = false;
      plane.http.set('POST exec', (_request, response) => {
        arrived = true;
        response.once('close', () => (ended = true));
      });
      const abort = new AbortController();
      const call = stack.fetch(`${MACHINE}/exec`, { method: 'POST', body: '{"command":["sleep","99"]}', signal: abort.signal }).catch(() => undefined);
      await eventually(async () => arrived, 'the node has the command');
      abort.abort();
      await call;
      await eventually(async () => ended, 'the node is told');
    });

    it.each<VmPhase>(['Pending', 'Starting', 'Paused', 'Stopped', 'Failed'])('is a 409 that names the phase while the machine is %s', async (wanted) => {
      await phase(wanted);
      const response = await post(`${MACHINE}/exec`, { command: ['x'] });
      expect(response.status).toBe(409);
      expect(await statusOf(response)).toMatchObject({ reason: 'VirtualMachineNotRunning', message: expect.stringContaining(wanted) });
      await phase('Running');
    });

    it('is a 404 for a machine that does not exist, and a 401 for a stranger', async () => {
      const missing = await post(MACHINE.replace('/demo', '/never') + '/exec', { command: ['x'] });
      expect([missing.status, (await statusOf(missing)).details?.name]).toEqual([404, 'never']);
      expect((await fetch(`${stack.url}${MACHINE}/exec`, { method: 'POST', body: '{}' })).status).toBe(401);
    });

    it('is a 503 with Retry-After when the node does not answer', async () => {
      const node = await stack.agent.get(nodes, undefined, 'worker-1');
      const corral = node?.status?.corral;
      if (!node || !corral) throw new Error('the node is gone');
      await stack.agent.replaceStatus(nodes, { ...node, status: { ...node.status, corral: { ...corral, dataPlaneUrl: 'http://127.0.0.1:1' } } });
      const response = await post(`${MACHINE}/exec`, { command: ['x'] });
      expect([response.status, response.headers.get('retry-after'), (await statusOf(response)).reason]).toEqual([503, '2', 'NodeUnreachable']);
      const changed = await stack.agent.get(nodes, undefined, 'worker-1');
      if (changed) await stack.agent.replaceStatus(nodes, { ...changed, status: { ...changed.status, corral } });
    });

    it('is a 503 at once when the node is lost, though it may still take connections', async () => {
      let reached = false;
      plane.http.set('POST exec', () => void (reached = true));
      const setReady = (status: 'True' | 'Unknown'): Promise<unknown> =>
        eventually(async () => {
          const node = await stack.agent.get(nodes, undefined, 'worker-1');
          return node && stack.agent.replaceStatus(nodes, { ...node, status: { ...node.status, conditions: withCondition(node.status?.conditions, { type: 'Ready', status, reason: 'Any' }, new Date()) } });
        }, `the node is ${status}`);
      await setReady('Unknown');
      expect((await post(`${MACHINE}/exec`, { command: ['x'] })).status).toBe(503);
      expect(reached).toBe(false);
      await setReady('True');
    });

    it('never reaches an incarnation other than the one the API knows', async () => {
      plane.incarnation = 2;
      const response = await post(`${MACHINE}/exec`, { command: ['x'] });
      expect([response.status, (await statusOf(response)).reason]).toEqual([409, 'VirtualMachineNotRunning']);
      plane.incarnation = 1;
    });
  });

  describe('files', () => {
    it('carry large bodies both ways, unchanged and whatever their type', async () => {
      const bytes = randomBytes(8 * 1024 * 1024);
      let stored = Buffer.alloc(0);
      plane.http.set('PUT files', async (request, response, url) => {
        stored = Buffer.concat(await Readable.from(request).toArray());
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ path: url.searchParams.get('path'), mode: url.searchParams.get('mode') }));
      });
      plane.http.set('GET files', (_request, response) => response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': stored.length }).end(stored));

      const put = await stack.fetch(`${MACHINE}/files?path=/tmp/a%20b&mode=0755`, { method: 'PUT', body: bytes, headers: { 'content-type': 'application/json' } });
      expect(await put.json()).toEqual({ path: '/tmp/a b', mode: '0755' });
      expect(createHash('sha256').update(stored).digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
      const got = await stack.fetch(`${MACHINE}/files?path=/tmp/a%20b`);
      expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true);
    });

    it('do not run ahead of a slow reader', async () => {
      let sent = 0;
      let blocked = false;
      const total = 256 * 1024 * 1024;
      plane.http.set('GET files', (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/octet-stream' });
        const chunk = Buffer.alloc(1024 * 1024);
        const write = (): void => {
          while (sent < total) {
            sent += chunk.length;
            if (!response.write(chunk)) {
              blocked = true;
              response.once('drain', write);
              return;
            }
          }
          response.end();
        };
        write();
      });
      const reader = httpRequest(`${stack.url}${MACHINE}/files?path=/big`, { headers: authorization });
      reader.end();
      const [response] = (await once(reader, 'response')) as [Readable];
      response.pause();
      await eventually(async () => blocked, 'the node has to wait');
      // What fits into the buffers on the way is sent; then nothing moves until somebody reads.
      let last = -1;
      await eventually(async () => {
        const still = sent === last;
        last = sent;
        await delay(100);
        return still;
      }, 'the node stands still');
      expect(sent).toBeLessThan(64 * 1024 * 1024);
      reader.destroy();
    });

    it('do not look complete when the node breaks off', async () => {
      plane.http.set('GET files', (_request, response) => {
        response.writeHead(200, { 'content-length': 1000 }).write('half');
        setTimeout(() => response.destroy(), 20);
      });
      const response = await stack.fetch(`${MACHINE}/files?path=/x`);
      await expect(response.arrayBuffer()).rejects.toThrow();
    });

    it('are not written in part as if whole when the caller breaks off', async () => {
      let outcome = '';
      plane.http.set('PUT files', (request) => {
        request.on('end', () => (outcome = 'whole'));
        request.on('error', () => (outcome ||= 'broken'));
        request.resume();
      });
      const upload = httpRequest(`${stack.url}${MACHINE}/files?path=/x`, { method: 'PUT', headers: authorization });
      upload.on('error', () => undefined);
      upload.write(Buffer.alloc(1024 * 1024));
      setTimeout(() => upload.destroy(), 100);
      expect(await eventually(async () => outcome || undefined, 'the node learns of it')).toBe('broken');
    });

    it('cannot speak to a browser in the name of the API', async () => {
      plane.http.set('GET files', (_request, response) =>
        response.writeHead(200, { 'content-type': 'text/html', 'set-cookie': 'corral_session=stolen', 'access-control-allow-origin': '*' }).end('<script>alert(1)</script>'),
      );
      const { headers } = await stack.fetch(`${MACHINE}/files?path=/x`);
      expect([headers.get('set-cookie'), headers.get('access-control-allow-origin')]).toEqual([null, null]);
      expect(headers.get('content-security-policy')).toContain('sandbox');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    });

    it('can be deleted, and are named by absolute paths', async () => {
      plane.http.set('DELETE files', (_request, response, url) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ gone: url.searchParams.get('path') })));
      expect(await (await stack.fetch(`${MACHINE}/files?path=/tmp/x`, { method: 'DELETE' })).json()).toEqual({ gone: '/tmp/x' });
      const typed = await stack.fetch(`${MACHINE}/files?path=/tmp/y`, { method: 'DELETE', headers: { 'content-type': 'application/json' } });
      expect(await typed.json()).toEqual({ gone: '/tmp/y' });
      for (const query of ['', '?path=', '?path=relative']) expect((await stack.fetch(`${MACHINE}/files${query}`)).status).toBe(400);
    });
  });

  it('shows the screen of a machine that is paused too', async () => {
    plane.http.set('GET screenshot', (_request, response, url) => response.writeHead(200, { 'content-type': 'image/png' }).end(url.searchParams.get('format') ?? 'PNG'));
    await phase('Paused');
    const response = await stack.fetch(`${MACHINE}/screenshot`);
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([200, 'image/png', 'PNG']);
    expect(await (await stack.fetch(`${MACHINE}/screenshot?format=text`)).text()).toBe('text');
    await phase('Running');
  });

  it('checks input before the guest gets it', async () => {
    plane.http.set('POST input', (_request, response) => response.writeHead(200).end('{}'));
    expect((await post(`${MACHINE}/input`, { type: 'keys', codes: ['ControlLeft', 'KeyC'] })).status).toBe(200);
    expect((await post(`${MACHINE}/input`, { type: 'keys', codes: [] })).status).toBe(422);
    expect((await post(`${MACHINE}/input`, { type: 'dance' })).status).toBe(422);
  });

  describe('WebSockets', () => {
    const connect = (path: string, protocols: string[] = [], options: ClientOptions = { headers: authorization }): WebSocket =>
      new WebSocket(`${stack.url.replace('http', 'ws')}${path}`, protocols, options);
    const refusal = async (socket: WebSocket): Promise<{ code: number | undefined; status: Status }> => {
      socket.on('error', () => undefined);
      const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
      return { code: response.statusCode, status: JSON.parse(Buffer.concat(await response.toArray()).toString()) as Status };
    };

    it('carry messages both ways as they are, from the very first', async () => {
      plane.sockets.set('serial', (socket, _request, url) => {
        socket.send(Buffer.from(`replay ${url.searchParams.get('replay')}`));
        socket.on('message', (data, binary) => socket.send(data, { binary }));
      });
      const socket = connect(`${MACHINE}/serial?replay=65536`);
      const messages: [string, boolean][] = [];
      socket.on('message', (data, binary) => messages.push([(data as Buffer).toString('latin1'), binary]));
      await once(socket, 'open');
      socket.send(Buffer.from([0, 255, 10]));
      socket.send('text');
      await eventually(async () => messages.length === 3, 'three messages');
      expect(messages).toEqual([['replay 65536', true], ['\x00\xff\n', true], ['text', false]]);
      socket.close();
    });

    it.each([
      [['v5.channel.k8s.io', 'v4.channel.k8s.io'], 'v5.channel.k8s.io'],
      [['v4.channel.k8s.io', 'v3.channel.k8s.io'], 'v4.channel.k8s.io'],
    ])('agree on one subprotocol on both sides: %s', async (offered, expected) => {
      let upstream: string | undefined;
      let query: URLSearchParams | undefined;
      plane.sockets.set('exec', (socket, _request, url) => {
        upstream = socket.protocol;
        query = url.searchParams;
      });
      const socket = connect(`${MACHINE}/exec?command=ls&command=-l&stdin=true&tty=true&ticket=`, offered);
      await once(socket, 'open');
      expect([socket.protocol, upstream]).toEqual([expected, expected]);
      expect([query?.getAll('command'), query?.get('tty'), query?.has('ticket')]).toEqual([['ls', '-l'], 'true', false]);
      socket.close();
    });

    it('take the token as a subprotocol, and pass it to nobody', async () => {
      let seen = '';
      plane.sockets.set('exec', (_socket, request) => (seen = JSON.stringify(request.headers)));
      const token = Buffer.from(authorization.authorization.slice('Bearer '.length)).toString('base64url');
      const socket = connect(`${MACHINE}/exec?command=ls`, [`base64url.bearer.authorization.k8s.io.${token}`, 'v5.channel.k8s.io'], {});
      await once(socket, 'open');
      expect(socket.protocol).toBe('v5.channel.k8s.io');
      expect(seen).not.toContain(token);
      socket.close();
    });

    it.each([[1000, 'done'], [1001, ''], [4242, 'odd']])('end with the code of the side that ended: %d', async (code, reason) => {
      plane.sockets.set('serial', (socket) => socket.close(code, reason));
      const socket = connect(`${MACHINE}/serial`);
      const [gotCode, gotReason] = (await once(socket, 'close')) as [number, Buffer];
      expect([gotCode, gotReason.toString()]).toEqual([code, reason]);

      let upstream: number | undefined;
      plane.sockets.set('serial', (opened) => opened.once('close', (ended) => (upstream = ended)));
      const other = connect(`${MACHINE}/serial`);
      await once(other, 'open');
      other.close(code, reason);
      await eventually(async () => upstream, 'the node sees the end');
      expect(upstream).toBe(code);
    });

    it('end with 1011 when the node is cut off, and end the node’s side when the client is', async () => {
      plane.sockets.set('serial', (socket) => socket.terminate());
      const [code] = (await once(connect(`${MACHINE}/serial`), 'close')) as [number];
      expect(code).toBe(1011);

      let ended = false;
      plane.sockets.set('serial', (socket) => socket.once('close', () => (ended = true)));
      const socket = connect(`${MACHINE}/serial`);
      await once(socket, 'open');
      socket.terminate();
      await eventually(async () => ended, 'the node is told');
    });

    it('do not buffer without limit for a client that does not read', async () => {
      let sent = 0;
      plane.sockets.set('serial', (socket) => {
        const chunk = Buffer.alloc(64 * 1024);
        const flood = (): void => {
          if (sent >= 256 * 1024 * 1024 || socket.readyState !== socket.OPEN) return;
          sent += chunk.length;
          socket.send(chunk, () => setImmediate(flood));
        };
        flood();
      });
      const socket = connect(`${MACHINE}/serial`);
      await once(socket, 'open');
      socket.pause();
      let last = -1;
      await eventually(async () => {
        const still = sent === last;
        last = sent;
        await delay(150);
        return still;
      }, 'the node stands still');
      expect(sent).toBeLessThan(64 * 1024 * 1024);
      const stoodAt = sent;
      socket.resume();
      await eventually(async () => sent > stoodAt, 'and goes on once somebody reads');
      socket.terminate();
    });

    it('are refused over HTTP, before any handshake, with the reason', async () => {
      expect(await refusal(connect(`${MACHINE}/serial`, [], {}))).toMatchObject({ code: 401 });
      expect(await refusal(connect(MACHINE.replace('demo', 'never') + '/serial'))).toMatchObject({ code: 404, status: { reason: 'NotFound' } });
      expect(await refusal(connect(`${MACHINE}/nonsense`))).toMatchObject({ code: 404 });
      expect(await refusal(connect(`${MACHINE}/exec?command=x`, ['chat']))).toMatchObject({ code: 400 });
      await phase('Stopped');
      expect(await refusal(connect(`${MACHINE}/exec?command=x`, ['v5.channel.k8s.io']))).toMatchObject({ code: 409, status: { reason: 'VirtualMachineNotRunning' } });
      await phase('Running');
      plane.incarnation = 9;
      expect(await refusal(connect(`${MACHINE}/serial`))).toMatchObject({ code: 409, status: { reason: 'VirtualMachineNotRunning', message: 'not this incarnation' } });
      plane.incarnation = 1;
      plane.isFenced = true;
      expect(await refusal(connect(`${MACHINE}/serial`))).toMatchObject({ code: 503, status: { reason: 'NodeFenced', details: { retryAfterSeconds: 2 } } });
      plane.isFenced = false;
    });

    it('open the serial console of a paused machine, but run no commands there', async () => {
      plane.sockets.set('serial', () => undefined);
      await phase('Paused');
      const socket = connect(`${MACHINE}/serial`);
      await once(socket, 'open');
      socket.close();
      expect(await refusal(connect(`${MACHINE}/exec?command=x`, ['v5.channel.k8s.io']))).toMatchObject({ code: 409 });
      await phase('Running');
    });
  });

  describe('when the machine is started anew or leaves its node', () => {
    it('what is open to the incarnation before is cut off on both sides, and what comes after speaks to the new one', async () => {
      await phase('Running');
      const ends: string[] = [];
      plane.sockets.set('serial', (socket) => {
        socket.once('close', () => ends.push('serial'));
        // It does not know that it has been followed, and goes on talking.
        const talk = setInterval(() => socket.send('old'), 5);
        socket.once('close', () => clearInterval(talk));
      });
      let arrived = false;
      plane.http.set('POST exec', (_request, response) => {
        arrived = true;
        response.once('close', () => ends.push('exec'));
      });
      const socket = new WebSocket(`${stack.url.replace('http', 'ws')}${MACHINE}/serial`, { headers: authorization });
      const closed = once(socket, 'close') as Promise<[number, Buffer]>;
      await once(socket, 'message');
      const command = post(`${MACHINE}/exec`, { command: ['sleep', '99'] });
      await eventually(async () => arrived, 'the node has the command');

      // What changes nothing of that ends nothing.
      await phase('Paused');
      await phase('Running');
      expect([socket.readyState, ends]).toEqual([WebSocket.OPEN, []]);

      plane.incarnation += 1;
      await phase('Running');
      expect((await closed)[0]).toBe(1012);
      expect((await command).status).toBe(503);
      await eventually(async () => ends.length === 2, 'the node is told of both');

      plane.http.set('POST exec', (_request, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
      expect((await post(`${MACHINE}/exec`, { command: ['true'] })).status).toBe(200);
    });
  });
});
