import type { Target } from './connection.ts';

/** What a load generator is told to do. */
export type LoadJob =
  | {
      readonly type: 'Requests';
      readonly target: Target;
      readonly clients: number;
      readonly seconds: number;
      readonly method: string;
      /** %NAME% stands for an object's name. */
      readonly path: string;
      readonly prefix: string;
      /** Names are counted up, or picked at random among `names`. */
      readonly picks: 'Each' | 'Random';
      readonly names?: number;
      /** %NAME% as above; %COUNT% is another number in each request. */
      readonly body?: string;
      readonly contentType?: string;
    }
  | { readonly type: 'Watch'; readonly target: Target; readonly path: string; readonly watchers: number; readonly events: number };

export interface WatchersReady {
  readonly type: 'Ready';
}

export interface LoadResult {
  readonly type: 'Result';
  readonly latenciesMs: readonly number[];
  readonly elapsedMs: number;
  readonly refusals: Readonly<Record<string, number>>;
  readonly bytes: number;
}
