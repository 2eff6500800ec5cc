import { Controller, Head, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import { Problem, Sha256, virtualMachineImages, type FieldProblem } from '@corral/contracts';
import { ObjectStoreFailure } from '@corral/object-store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Describe } from '../../platform/http/describe.ts';
import { type RouteOptions } from '../../platform/http/http-server.ts';
import { streamedBody } from '../../platform/http/streamed-body.ts';
import { MAX_ARTIFACT_BYTES } from './artifact-limits.ts';
import { ArtifactStore } from './artifact.store.ts';

interface UploadAnswer {
  /** What to write into an image's spec. */
  readonly url: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

const STREAMED: RouteOptions = { streamsBody: true };

/** Uploads of what images are made of. */
@Controller(`apis/${virtualMachineImages.group}/${virtualMachineImages.version}/artifacts`)
export class ArtifactsController {
  constructor(@Inject(ArtifactStore) private readonly artifacts: ArtifactStore) {}

  @Post()
  @Describe({ summary: 'Upload what an image is made of.', query: { sha256: 'The digest the bytes must have.' }, body: 'application/octet-stream', code: 201 }, STREAMED)
  async upload(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply, @Query('sha256') sha256?: string): Promise<UploadAnswer> {
    if (sha256 !== undefined && !Sha256.safeParse(sha256).success) throw invalid({ field: 'sha256', reason: 'FieldValueInvalid', message: 'must be 64 lower case hexadecimal digits' });
    const abort = new AbortController();
    reply.raw.once('close', () => abort.abort());
    const intake = await this.artifacts.take(streamedBody(request, reply), { expectedSha256: sha256, maxBytes: MAX_ARTIFACT_BYTES, signal: abort.signal });
    switch (intake.type) {
      case 'Stored': {
        void reply.code(201);
        const { artifact } = intake;
        return { url: `artifact:${artifact.sha256}`, sha256: artifact.sha256, sizeBytes: artifact.sizeBytes };
      }
      case 'DigestMismatch':
        throw invalid({ field: 'sha256', reason: 'FieldValueInvalid', message: `the bytes have digest ${intake.sha256}` });
      case 'TooLarge':
        throw new Problem('request.too-large', `an artifact may have at most ${MAX_ARTIFACT_BYTES} bytes`);
      case 'SourceFailed':
        throw new Problem('request.malformed', 'the upload broke off', { cause: intake.cause });
      case 'StorageFailed':
        throw storageUnavailable(intake.cause);
    }
  }

  @Head(':sha256')
  async present(@Param('sha256') sha256: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    const found = Sha256.safeParse(sha256).success ? await this.artifacts.find(sha256).catch(rethrow) : undefined;
    if (!found) throw new Problem('object.not-found', `artifact "${sha256}" not found`, { details: { name: sha256, kind: 'artifacts', group: virtualMachineImages.group } });
    void reply.header('x-corral-size-bytes', found.sizeBytes);
  }
}

function invalid(problem: FieldProblem): Problem {
  return new Problem('object.invalid', `${problem.field}: ${problem.message}`, { details: { kind: 'artifacts', group: virtualMachineImages.group, causes: [problem] } });
}

function storageUnavailable(cause: unknown): Problem {
  return new Problem('dependency.unavailable', 'the object store does not take or give bytes now; try again', { cause, details: { retryAfterSeconds: 5 } });
}

function rethrow(error: unknown): never {
  throw error instanceof ObjectStoreFailure ? storageUnavailable(error) : error;
}
