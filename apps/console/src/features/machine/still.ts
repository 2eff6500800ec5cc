import { send } from '../../api/request.ts';

/** The screen as it is now. Close it once drawn. */
export async function fetchStill(path: string, signal: AbortSignal): Promise<ImageBitmap> {
  const response = await send(path, { signal });
  return createImageBitmap(await response.blob());
}
