import { type Readable } from 'node:stream';
import { Controller, Delete, Get, Inject, Post, Put, Req, Res } from '@nestjs/common';
import { ExecRequest, InputRequest, Problem, PROBLEMS, virtualMachines, type DataPlaneOperation, type VmPhase } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type z } from 'zod';
import { Describe } from '../../platform/http/describe.ts';
import { type RouteOptions } from '../../platform/http/http-server.ts';
import { streamedBody } from '../../platform/http/streamed-body.ts';
import { sendStoredScreen } from '../screens/stored-screen.http.ts';
import { DataPlaneClient, answerHeaders, SHOWN, type DataPlaneRequest } from './data-plane.client.ts';
import { readJson } from './json-body.ts';
import { OpenTargets } from './open-targets.ts';

export const MACHINE_PATH = `apis/${virtualMachines.group}/${virtualMachines.version}/namespaces/:namespace/${virtualMachines.plural}/:name`;
const RUNNING: readonly VmPhase[] = ['Running'];
const NOT_RUNNING = PROBLEMS['vm.not-running'].status;
/** How much later than the guest the node may answer. */
const GRACE_MS = 30_000;
/** The caller, too, may stop sending for a while. */
const UPLOAD_SILENCE_MS = 5 * 60_000;
const STREAMED: RouteOptions = { streamsBody: true };
const BYTES = 'application/octet-stream';
const FILE = { path: 'Absolute path in the guest.' };

type MachineRequest = FastifyRequest<{ Params: { namespace: string; name: string } }>;

/** What a machine's guest is reached by over HTTP. Carries bytes; what they mean is the guest's and the node's business. */
@Controller(MACHINE_PATH)
export class MachineController {
  constructor(
    @Inject(DataPlaneClient) private readonly dataPlane: DataPlaneClient,
    @Inject(OpenTargets) private readonly targets: OpenTargets,
  ) {}

  @Post('exec')
  @Describe({ summary: 'Run a command in the guest and answer when it has ended.', body: ExecRequest }, STREAMED)
  exec(@Req() request: MachineRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.#carryJson(request, reply, 'exec', ExecRequest, ({ timeoutSeconds }) => timeoutSeconds * 1000 + GRACE_MS);
  }

  @Post('input')
  @Describe({ summary: 'Type, and move the mouse.', body: InputRequest }, STREAMED)
  input(@Req() request: MachineRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.#carryJson(request, reply, 'input', InputRequest, () => GRACE_MS);
  }

  @Get('screenshot')
  @Describe({ summary: 'What the screen shows; of a machine that no node has, what it showed last (Last-Modified says when).', query: { format: 'png, or text while the screen is in text mode.' }, answer: 'image/png' })
  async screenshot(@Req() request: MachineRequest, @Res() reply: FastifyReply): Promise<void> {
    const { namespace, name } = request.params;
    const kept = (queryOf(request).get('format') ?? 'png') === 'png' ? await this.dataPlane.lastScreenOf(namespace, name) : undefined;
    await (kept ? sendStoredScreen(reply, kept) : this.#carry(request, reply, 'screenshot', {}, SHOWN));
  }

  @Get('serial')
  @Describe({ summary: 'What the serial line said last; as a WebSocket the line itself, both ways.', query: { replay: 'Of a WebSocket: bytes of what was said before.' }, answer: BYTES })
  serial(@Req() request: MachineRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.#carry(request, reply, 'serial', {}, SHOWN);
  }

  @Get('files')
  @Describe({ summary: 'Read a file of the guest, list a directory, or look at either.', query: { ...FILE, list: 'true: what is in a directory.', stat: 'true: size, mode and times only.' }, answer: BYTES })
  readFile(@Req() request: MachineRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.#carryFile(request, reply, {});
  }

  @Put('files')
  @Describe({ summary: 'Write a file of the guest.', query: { ...FILE, mode: 'Its permissions in octal, such as 0644.' }, body: BYTES }, STREAMED)
  writeFile(@Req() request: MachineRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.#carryFile(request, reply, { headers: contentHeadersOf(request), body: streamedBody(request, reply), silenceMs: UPLOAD_SILENCE_MS });
  }

  @Delete('files')
  @Describe({ summary: 'Delete a file of the guest.', query: FILE })
  deleteFile(@Req() request: MachineRequest, @Res() reply: FastifyReply): Promise<void> {
    return this.#carryFile(request, reply, {});
  }

  /** For bodies that are small and whose every wrong field is to be named: checked here, then carried. */
  async #carryJson<T>(request: MachineRequest, reply: FastifyReply, operation: DataPlaneOperation, schema: z.ZodType<T>, silenceMsOf: (command: T) => number): Promise<void> {
    const command = await readJson(streamedBody(request, reply), schema, request.headers['content-length']);
    const body = JSON.stringify(command);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    await this.#carry(request, reply, operation, { headers, body, silenceMs: silenceMsOf(command) }, RUNNING);
  }

  #carryFile(request: MachineRequest, reply: FastifyReply, content: Content): Promise<void> {
    const path = queryOf(request).get('path');
    if (!path?.startsWith('/')) return Promise.reject(new Problem('request.malformed', 'the query parameter "path" must be an absolute path in the guest'));
    return this.#carry(request, reply, 'files', content, RUNNING);
  }

  async #carry(request: MachineRequest, reply: FastifyReply, operation: DataPlaneOperation, { headers = {}, body, silenceMs }: Content, phases: readonly VmPhase[]): Promise<void> {
    const { namespace, name } = request.params;
    const target = operation === 'screenshot' ? await this.dataPlane.findAsItIs(namespace, name, phases) : await this.dataPlane.find(namespace, name, phases);
    // A caller who has gone wants nothing more of the guest.
    const abort = new AbortController();
    const release = this.targets.hold(target, () => abort.abort());
    reply.raw.once('close', () => {
      release();
      abort.abort();
    });
    const outgoing: DataPlaneRequest = {
      method: request.method,
      query: queryOf(request),
      headers: { ...headers, ...(request.headers.accept === undefined ? {} : { accept: request.headers.accept }) },
      ...(body === undefined ? {} : { body }),
      ...(silenceMs === undefined ? {} : { silenceMs }),
    };
    const answer = await this.dataPlane.request(target, operation, outgoing, abort.signal);
    // It fell asleep between the two. A body that flows was read already, and cannot be sent again.
    if (answer.statusCode === NOT_RUNNING && (body === undefined || typeof body === 'string') && (await this.dataPlane.isDormant(target))) {
      answer.resume();
      return this.#carry(request, reply, operation, { headers, ...(body === undefined ? {} : { body }), ...(silenceMs === undefined ? {} : { silenceMs }) }, phases);
    }
    await reply.code(answer.statusCode ?? 502).headers(answerHeaders(answer.headers)).send(answer);
  }
}

interface Content {
  readonly headers?: DataPlaneRequest['headers'];
  readonly body?: Readable | string;
  readonly silenceMs?: number;
}

const queryOf = (request: FastifyRequest): URLSearchParams => new URL(request.url, 'http://localhost').searchParams;

/** The type as the caller gave it is lost to `streamsBody`; to a guest's file it means nothing. */
function contentHeadersOf({ headers }: FastifyRequest): DataPlaneRequest['headers'] {
  return {
    'content-type': 'application/octet-stream',
    ...(headers['content-length'] === undefined ? {} : { 'content-length': headers['content-length'] }),
  };
}
