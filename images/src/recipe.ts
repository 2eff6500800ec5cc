import type { GuestKernel } from './guest-kernel.ts';
import type { ImageStore } from './image-store.ts';
import type { PrivateApt } from './private-apt.ts';
import type { Progress } from './progress.ts';

/** What every image is built with. */
export interface ImageBuild {
  readonly store: ImageStore;
  readonly apt: PrivateApt;
  readonly progress: Progress;
  /** The `images` folder of this repository. */
  readonly base: string;
  /** Our own kernel, when it has been built in this home. */
  readonly tickless: (GuestKernel & { readonly digest: string }) | undefined;
}
