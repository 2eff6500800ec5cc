import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { parse } from 'yaml';
import { createCommand, deleteCommand, patchCommand, quote } from './commands.ts';
import { MACHINES, manifestOf, NODES } from './resources.ts';

const ORIGIN = 'http://127.0.0.1:8086';
const demo = { resource: MACHINES, namespace: 'default', name: 'demo' };

/** What a shell makes of a word. */
const asShellReads = (words: string): string[] =>
  execFileSync('sh', ['-c', `for word in ${words}; do printf '%s\\0' "$word"; done`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);

describe('copied commands', () => {
  it('say the same to kubectl and to curl', () => {
    expect(patchCommand(demo, { spec: { powerState: 'Paused' } }, ORIGIN)).toEqual({
      kubectl: `kubectl patch virtualmachine demo -n default --type=merge -p '{"spec":{"powerState":"Paused"}}'`,
      curl: `curl -X PATCH http://127.0.0.1:8086/apis/corral.dev/v1/namespaces/default/virtualmachines/demo \\
  -H "Authorization: Bearer $CORRAL_TOKEN" \\
  -H 'Content-Type: application/merge-patch+json' \\
  -d '{"spec":{"powerState":"Paused"}}'`,
    });
    expect(deleteCommand({ resource: NODES, namespace: undefined, name: 'worker-1' }, ORIGIN).kubectl).toBe(
      'kubectl delete node worker-1',
    );
  });

  it('create the very object: the YAML reads back as the manifest', () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom('yes', 'null', '1e3', '007', '128Mi', '- a', 'a: b', '# x', '0x1'),
    );
    fc.assert(
      fc.property(text, fc.dictionary(text, text), (name, labels) => {
        const object = {
          metadata: { name, namespace: 'default', labels },
          spec: { source: { image: name }, memory: '128Mi', nodeSelector: {} },
        };
        const yaml = createCommand(MACHINES, object, ORIGIN).kubectl.replace(/^.*\n/, '').replace(/EOF$/, '');
        // Compared as JSON: both sides then agree on what a key named __proto__ is.
        expect(JSON.stringify(parse(yaml, { uniqueKeys: false }))).toBe(JSON.stringify(manifestOf(MACHINES, object)));
      }),
    );
  });

  it('are safe to paste: no text breaks out of its word', () => {
    const words = fc.array(fc.string({ unit: 'grapheme-ascii' }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(words, (texts) => {
        expect(asShellReads(texts.map(quote).join(' '))).toEqual(texts);
      }),
      { numRuns: 30 },
    );
  });
});
