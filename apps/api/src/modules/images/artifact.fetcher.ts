import { type IncomingMessage } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { type ImageArtifact, type StoredArtifact } from '@corral/contracts';
import { API_CONFIG, type ApiConfig } from '../../platform/config/api-config.ts';
import { MAX_ARTIFACT_BYTES } from '../artifacts/artifact-limits.ts';
import { ArtifactStore } from '../artifacts/artifact.store.ts';
import { FetchAddressPolicy } from '../../platform/http/address-policy.ts';
import { ImageFault, storageUnreachable } from './image-fault.ts';
import { openUrl, unreachable } from './url-fetch.ts';

/** One artifact may take this long, however fast its source is. */
const FETCH_DEADLINE_MS = 2 * 60 * 60_000;

/** Brings artifacts into the object store, from an upload or a URL. Failures are ImageFaults. */
@Injectable()
export class ArtifactFetcher {
  readonly #policy: FetchAddressPolicy;

  constructor(
    @Inject(ArtifactStore) private readonly artifacts: ArtifactStore,
    @Inject(API_CONFIG) config: ApiConfig,
  ) {
    this.#policy = new FetchAddressPolicy(config.imageFetch);
  }

  async fetch({ url, sha256 }: ImageArtifact, signal: AbortSignal): Promise<StoredArtifact> {
    const uploaded = /^artifact:([0-9a-f]{64})$/.exec(url)?.[1];
    if (uploaded !== undefined) return this.#uploaded(uploaded, sha256, signal);
    const known = sha256 === undefined ? undefined : await this.artifacts.find(sha256, signal);
    return known ?? this.#download(new URL(url), sha256, signal);
  }

  async #uploaded(digest: string, sha256: string | undefined, signal: AbortSignal): Promise<StoredArtifact> {
    if (sha256 !== undefined && sha256 !== digest) throw new ImageFault('DigestMismatch', `The upload ${digest} is not what sha256 asks for: ${sha256}.`);
    const found = await this.artifacts.find(digest, signal);
    if (found) return found;
    throw new ImageFault('ArtifactMissing', `Nothing was uploaded with digest ${digest}. POST it to /apis/corral.dev/v1/artifacts.`);
  }

  async #download(url: URL, sha256: string | undefined, signal: AbortSignal): Promise<StoredArtifact> {
    const deadline = AbortSignal.timeout(FETCH_DEADLINE_MS);
    const either = AbortSignal.any([signal, deadline]);
    const response = await openUrl(url.href, this.#policy, either);
    try {
      const announced = Number(response.headers['content-length'] ?? 0);
      if (announced > MAX_ARTIFACT_BYTES) throw tooLarge();
      return await this.#store(url, response, sha256, either);
    } finally {
      response.destroy();
    }
  }

  async #store(url: URL, response: IncomingMessage, sha256: string | undefined, signal: AbortSignal): Promise<StoredArtifact> {
    const intake = await this.artifacts.take(response, { expectedSha256: sha256, maxBytes: MAX_ARTIFACT_BYTES, signal });
    switch (intake.type) {
      case 'Stored':
        return intake.artifact;
      case 'DigestMismatch':
        throw new ImageFault('DigestMismatch', `The bytes at ${url.origin} have digest ${intake.sha256}, not ${sha256}.`);
      case 'TooLarge':
        throw tooLarge();
      case 'SourceFailed':
        throw unreachable(url, intake.cause);
      case 'StorageFailed':
        throw storageUnreachable(intake.cause);
    }
  }
}

const tooLarge = (): ImageFault => new ImageFault('TooLarge', `An artifact may have at most ${MAX_ARTIFACT_BYTES / 1024 ** 3} GiB.`);
