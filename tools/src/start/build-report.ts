const SHOWN_LINES = 30;
/** What Nx puts before each line of a task. */
const PROJECT = String.raw`(?:@corral/[\w-]+: )?`;
/** npm about its own configuration and the script that failed, banners of scripts, and Node's warnings: never the cause. */
const NOISE = new RegExp(String.raw`^${PROJECT}(npm (warn|error|notice)\b|> |\(node:\d+\) |\(Use .node --trace-)`, 'i');
const COMPILER_ERROR = /\berror TS\d+:/;
const CONTINUATION = new RegExp(`^${PROJECT}  +\\S`);

/** What to tell of a failed build, from all it said: the compiler's errors when there are any, else the end without the noise. */
export function buildReport(said: string): string {
  const lines = said.split('\n').filter((line) => !NOISE.test(line));
  const errors = compilerErrors(lines);
  if (errors.length === 0) return lines.join('\n').trim().split('\n').slice(-SHOWN_LINES).join('\n');
  const more = errors.length - SHOWN_LINES;
  return [...errors.slice(0, SHOWN_LINES), ...(more > 0 ? [`… and ${more} lines more`] : [])].join('\n');
}

/** Each with the indented lines that explain it. */
function compilerErrors(lines: readonly string[]): string[] {
  let isInError = false;
  return lines.filter((line) => {
    isInError = COMPILER_ERROR.test(line) || (isInError && CONTINUATION.test(line));
    return isInError;
  });
}
