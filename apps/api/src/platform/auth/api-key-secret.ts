import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

const PREFIX = 'corral_';
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 62^43 > 2^256. */
const RANDOM_LENGTH = 43;
/** 62^6 > 2^32. */
const CHECKSUM_LENGTH = 6;

/** For secret scanners: nothing else looks like a key. */
export const API_KEY_PATTERN = /^corral_[0-9A-Za-z]{49}$/;

/** `corral_`, 256 random bits, and their CRC-32, all but the prefix in base 62: one word in any editor, and a scanner can tell it from noise. */
export function makeApiKeySecret(random: Uint8Array = randomBytes(32)): string {
  const body = base62(BigInt(`0x${Buffer.from(random).toString('hex')}`), RANDOM_LENGTH);
  return `${PREFIX}${body}${checksum(body)}`;
}

/** Whether it is written like a key, without a typing error. Says nothing about whether there is such a key. */
export function isApiKeySecret(text: string): boolean {
  return API_KEY_PATTERN.test(text) && checksum(text.slice(PREFIX.length, -CHECKSUM_LENGTH)) === text.slice(-CHECKSUM_LENGTH);
}

export const looksLikeApiKey = (text: string): boolean => text.startsWith(PREFIX);

const checksum = (body: string): string => base62(BigInt(crc32(body)), CHECKSUM_LENGTH);

function base62(value: bigint, length: number): string {
  let text = '';
  for (let rest = value; text.length < length; rest /= 62n) text = (ALPHABET[Number(rest % 62n)] ?? '') + text;
  return text;
}
