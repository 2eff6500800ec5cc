import { jest } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ForkedVm } from './forked-vm.testing.ts';
import { diskMachine } from './guest-config.testing.ts';

/** Connections that go wrong: a machine without a guest system is enough, and is up at once. */
jest.setTimeout(120_000);

const HANDSHAKE = 'Host: machine\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
let folder: string;
let vm: ForkedVm;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'corral-data-plane-'));
  const disk = join(folder, 'disk.img');
  await writeFile(disk, '');
  await truncate(disk, 1024 * 1024);
  vm = await ForkedVm.fork(await diskMachine(disk));
  await vm.start({ type: 'Boot' });
});
afterAll(async () => {
  await ForkedVm.disposeAll();
  await rm(folder, { recursive: true });
});

async function handshake(path: string): Promise<Socket> {
  const socket = connect(vm.config.socketPath);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(`GET ${path} HTTP/1.1\r\n${HANDSHAKE}`);
  return socket;
}

/** One frame from a client, of zeros under a zero mask. Source: RFC 6455, 5.2. */
function binaryFrame(bytes: number): Buffer {
  const header = Buffer.alloc(14);
  header.set([0x82, 0x80 | 127]);
  header.writeBigUInt64BE(BigInt(bytes), 2);
  return Buffer.concat([header, Buffer.alloc(bytes)]);
}

/** An end that is an error is an end. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.resume().once('close', () => resolve()));
}

async function expectAlive(): Promise<void> {
  expect((await vm.http('GET', '/screenshot?format=text')).status).toBe(200);
  // It says now and then where its memory is, and nothing of an end.
  expect(vm.told.map(({ type }) => type).filter((type) => type !== 'Memory')).toEqual(['Waiting']);
}

it.each(['/nowhere', '/exec', '/exec?command=true'])('runs on when a client hangs up before its handshake at %s is refused', async (path) => {
  for (let attempt = 0; attempt < 20; attempt += 1) (await handshake(path)).destroy();
  await expectAlive();
});

it('runs on when a client sends a larger message than it takes, and closes that connection', async () => {
  const socket = await handshake('/serial');
  await once(socket, 'data');
  socket.write(binaryFrame(2 * 1024 * 1024));
  await closed(socket);
  await expectAlive();
});

it('runs on when a client sends what is no WebSocket frame', async () => {
  const socket = await handshake('/serial');
  await once(socket, 'data');
  socket.write(Buffer.alloc(64, 0xff));
  await closed(socket);
  await expectAlive();
});
