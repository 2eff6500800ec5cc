export const MAX_EXEC_OUTPUT_BYTES = 1024 * 1024;

export interface ExecResult {
  /** 128 + signal when a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMilliseconds: number;
  readonly timedOut: boolean;
  /** More than MAX_EXEC_OUTPUT_BYTES was written; the rest was dropped. */
  readonly stdoutTruncated: boolean;
  readonly stderrTruncated: boolean;
}
