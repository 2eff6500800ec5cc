import { type ImageFailure } from './image-conditions.ts';

/** Why an artifact could not be had or used: becomes the image's Ready condition as it is. */
export class ImageFault extends Error {
  override readonly name = 'ImageFault';
  readonly reason: ImageFailure;

  constructor(reason: ImageFailure, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.reason = reason;
  }
}

export const storageUnreachable = (cause: unknown): ImageFault =>
  new ImageFault('StorageUnreachable', 'The object store does not take or give the bytes now; trying again.', { cause });
