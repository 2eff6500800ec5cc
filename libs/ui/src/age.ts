const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
const YEAR = 365 * DAY;

/** How long, in the one unit that says it best: `0.4 s`, `8 s`, `3 min`, `2 h`, `5 d`, `3 y`. `–` when it is not known. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 1) return `${Math.floor(seconds * 10) / 10} s`;
  if (seconds < MINUTE) return `${Math.floor(seconds)} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h`;
  if (seconds < YEAR) return `${Math.floor(seconds / DAY)} d`;
  return `${Math.floor(seconds / YEAR)} y`;
}

/** The same with its second unit where there is room: `2 d 4 h`, `3 h 12 min`. */
export function formatLongDuration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (!Number.isFinite(seconds) || seconds < HOUR) return formatDuration(milliseconds);
  const [unit, name, smaller, smallerName] =
    seconds < DAY ? ([HOUR, 'h', MINUTE, 'min'] as const) : ([DAY, 'd', HOUR, 'h'] as const);
  const rest = Math.floor((seconds % unit) / smaller);
  const whole = `${Math.floor(seconds / unit)} ${name}`;
  return rest === 0 ? whole : `${whole} ${rest} ${smallerName}`;
}

/** Age of a timestamp, by the server's clock. */
export function formatAge(timestamp: string | undefined, now: Date): string {
  return formatDuration(timestamp === undefined ? NaN : now.getTime() - Date.parse(timestamp));
}
