/** The most bytes one artifact may have, uploaded or fetched. */
export const MAX_ARTIFACT_BYTES = 8 * 1024 ** 3;
