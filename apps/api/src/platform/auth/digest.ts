import { createHash, randomBytes } from 'node:crypto';

/** What is stored of a secret. Tokens are random and long, so a plain hash cannot be turned back. */
export const digestOf = (secret: string): Uint8Array<ArrayBuffer> => new Uint8Array(createHash('sha256').update(secret).digest());

/** 256 random bits, safe in URLs, headers and subprotocols. */
export const randomSecret = (): string => randomBytes(32).toString('base64url');

/** Whether it could be one of those. */
export const isRandomSecret = (text: string): boolean => /^[\w-]{43}$/.test(text);
