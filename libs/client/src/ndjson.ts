/** A line longer than this is no object of ours; reading on would only fill memory. */
const MAX_LINE_CHARACTERS = 16 * 1024 * 1024;

/** The values of a stream of newline-delimited JSON, as they arrive. Throws a RangeError on a line beyond bounds and a SyntaxError on what is not JSON. */
export async function* parseNdjson(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<unknown, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line);
    if (rest.length > MAX_LINE_CHARACTERS) throw new RangeError('A line of the stream is too long');
  }
  if (rest.trim() !== '') yield JSON.parse(rest);
}
