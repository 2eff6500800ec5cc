import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { TreeDigest } from './tree-digest.ts';

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

describe('TreeDigest', () => {
  it('says what S3 says of the same bytes in parts, however they arrive', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), fc.integer({ min: 1, max: 9 }), (chunks, partBytes) => {
        const whole = Buffer.concat(chunks);
        const parts: Buffer[] = [];
        for (let at = 0; at < whole.length; at += partBytes) parts.push(sha256(whole.subarray(at, at + partBytes)));
        const digest = new TreeDigest(partBytes);
        for (const chunk of chunks) digest.update(chunk);
        expect(digest.sizeBytes).toBe(whole.length);
        expect(digest.digest()).toEqual({
          sha256: sha256(whole).toString('hex'),
          checksum: sha256(whole).toString('base64'),
          compositeChecksum: `${sha256(Buffer.concat(parts)).toString('base64')}-${parts.length}`,
        });
      }),
    );
  });
});
