import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { FileEntry, FileList } from '@corral/contracts';
import { Problem, toKubeTime } from '@corral/contracts/for-vm-process';
import { AgentLost, GuestError, type AgentSession, type GuestFiles, type GuestFileStat } from '@corral/guest-agent';
import { runCommand } from './exec.run.ts';
import { respondJson, SUCCESS } from './respond.ts';

const TYPE_BITS = 0o170000;
const REGULAR_FILE = 0o100000;
const DIRECTORY = 0o040000;
const SYMBOLIC_LINK = 0o120000;
const PERMISSION_BITS = 0o7777;
const DEFAULT_MODE = 0o644;
/** A guest or a client that gets nothing done this long is given up: others want the channel. */
const STALLED_AFTER_MS = 60_000;

/** Reads, writes, lists, describes and removes files in the guest; `query` is the request's. */
export async function serveFiles(
  agent: { readonly session: AgentSession; readonly files: GuestFiles },
  request: IncomingMessage,
  response: ServerResponse,
  query: URLSearchParams,
): Promise<void> {
  const path = query.get('path') ?? '';
  if (!path.startsWith('/')) throw new Problem('request.malformed', 'path must be an absolute path in the guest');
  if (path.includes('\0')) throw new Problem('request.malformed', 'path must not contain NUL');
  const patience = new Patience(response);
  try {
    switch (request.method) {
      case 'GET':
        return await answerGet(agent.files, response, patience, path, query);
      case 'PUT': {
        const mode = parseMode(query.get('mode'));
        // A client that sends nothing is not waited for either; the answer, if the guest was at fault, is out by then.
        patience.signal.addEventListener('abort', () => setImmediate(() => request.destroy()));
        await agent.files.write(path, mode ?? DEFAULT_MODE, patience.watch(request as AsyncIterable<Uint8Array>), patience.signal);
        if (mode !== undefined) await setMode(agent, path, mode, patience.signal);
        return respondJson(response, 200, entryOf(path, await agent.files.stat(path)));
      }
      case 'DELETE':
        await agent.files.remove(path);
        return respondJson(response, 200, SUCCESS);
      default:
        throw new Problem('method.not-allowed', `files cannot be asked to ${request.method}`);
    }
  } catch (error) {
    throw error instanceof GuestError ? refusal(path, error) : error;
  } finally {
    patience.end();
  }
}

/** Ends what a client has left, and what has stalled. */
class Patience {
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #response: ServerResponse;
  readonly #left = (): void => this.#abort.abort(new AgentLost('the client has left'));

  constructor(response: ServerResponse) {
    this.#response = response;
    this.#timer = setTimeout(() => this.#abort.abort(new AgentLost(`nothing came or went for ${STALLED_AFTER_MS / 1000} s`)), STALLED_AFTER_MS);
    response.once('close', this.#left);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The same bytes; each chunk that is taken is progress. */
  async *watch(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.#timer.refresh();
      yield chunk;
    }
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#response.removeListener('close', this.#left);
  }
}

async function answerGet(files: GuestFiles, response: ServerResponse, patience: Patience, path: string, query: URLSearchParams): Promise<void> {
  if (query.get('list') === 'true') {
    const entries = await files.list(path, patience.signal);
    const parent = path.replace(/\/+$/, '');
    const list: FileList = { path, entries: entries.map(({ name, stat }) => entryOf(`${parent}/${name}`, stat)) };
    return respondJson(response, 200, list);
  }
  if (query.get('stat') === 'true') return respondJson(response, 200, entryOf(path, await files.stat(path, { follow: false })));
  const { stat, body } = await files.read(path, patience.signal).catch((error: unknown) => {
    // The agent opens regular files only (docs/guest-agent.md): nothing else ends where a body has to.
    if (error instanceof GuestError && error.code === 'EINVAL') throw new Problem('guest.file-refused', `${path} is not a regular file`, { cause: error });
    throw error;
  });
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    // Files of /proc and /sys say 0 and have content.
    ...(stat.sizeBytes > 0 ? { 'content-length': stat.sizeBytes } : {}),
  });
  await pipeline(patience.watch(stat.sizeBytes > 0 ? exactly(body, stat.sizeBytes) : body), response);
}

/** A file may grow or shrink while it is read; a body must have the length that was announced. */
async function* exactly(body: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncGenerator<Uint8Array> {
  let left = sizeBytes;
  for await (const chunk of body) {
    yield chunk.subarray(0, left);
    left -= Math.min(left, chunk.length);
    if (left === 0) return;
  }
  throw new Error('the file became shorter while it was read');
}

/** The mode of a new file is set as it is made; one that was there keeps its own, which is not what was asked for. */
async function setMode(
  agent: { readonly session: AgentSession; readonly files: GuestFiles },
  path: string,
  mode: number,
  signal: AbortSignal,
): Promise<void> {
  const stat = await agent.files.stat(path);
  if ((stat.mode & PERMISSION_BITS) === mode) return;
  const command = ['chmod', mode.toString(8), path];
  const { exitCode, stderr } = await runCommand(agent, { command, stdin: '', env: {}, cwd: '/', timeoutSeconds: 10 }, signal);
  if (exitCode !== 0) throw new Problem('guest.file-refused', `${path}: the mode could not be set: ${stderr.trim()}`);
}

function parseMode(text: string | null): number | undefined {
  if (text === null) return undefined;
  if (!/^0?[0-7]{3,4}$/.test(text)) throw new Problem('request.malformed', 'mode must be permission bits in octal, such as 0644');
  return Number.parseInt(text, 8);
}

function entryOf(path: string, { mode, sizeBytes, modifiedAt }: GuestFileStat): FileEntry {
  return {
    name: path.replace(/\/+$/, '').split('/').at(-1) || '/',
    path,
    type: typeOf(mode),
    sizeBytes,
    mode: (mode & PERMISSION_BITS).toString(8).padStart(4, '0'),
    modifiedAt: toKubeTime(modifiedAt),
  };
}

function typeOf(mode: number): FileEntry['type'] {
  switch (mode & TYPE_BITS) {
    case REGULAR_FILE:
      return 'File';
    case DIRECTORY:
      return 'Directory';
    case SYMBOLIC_LINK:
      return 'SymbolicLink';
    default:
      return 'Other';
  }
}

function refusal(path: string, error: GuestError): Problem {
  const notFound = error.code === 'ENOENT' || error.code === 'ENOTDIR';
  return new Problem(notFound ? 'guest.file-not-found' : 'guest.file-refused', `${path}: ${error.message} (${error.code})`, { cause: error });
}
