import { objectOf, parseLabels, type Draft } from './draft.ts';

const draft: Draft = {
  name: 'quiet-otter',
  namespace: 'default',
  source: { type: 'image', name: 'linux-minimal' },
  memoryMiB: '',
  restartPolicy: 'Always',
  labels: '',
};

describe('a draft', () => {
  it('asks only for what was decided, so that defaults stay the server’s', () => {
    expect(objectOf(draft)).toEqual({
      metadata: { name: 'quiet-otter', namespace: 'default' },
      spec: { source: { image: 'linux-minimal' } },
    });
    expect(objectOf({ ...draft, memoryMiB: ' 256 ', restartPolicy: 'Never', labels: 'app=desk' })).toEqual({
      metadata: { name: 'quiet-otter', namespace: 'default', labels: { app: 'desk' } },
      spec: { source: { image: 'linux-minimal' }, memory: '256Mi', restartPolicy: 'Never' },
    });
  });

  it('leaves memory to the snapshot it continues from', () => {
    expect(objectOf({ ...draft, source: { type: 'snapshot', name: 'demo-1' }, memoryMiB: '256' }).spec).toEqual({
      source: { snapshot: 'demo-1' },
    });
  });

  it('sends what is wrong as it is, for the server to name', () => {
    expect(objectOf({ ...draft, source: undefined, memoryMiB: 'lots' }).spec).toEqual({ source: {}, memory: 'lotsMi' });
  });

  it.each([
    ['', {}],
    ['app=desk', { app: 'desk' }],
    [' app=desk , owner=ines,', { app: 'desk', owner: 'ines' }],
    ['flag=', { flag: '' }],
    ['app', undefined],
    ['a b=c', undefined],
    ['a=b=c', undefined],
  ])('labels "%s" read as %j', (text, labels) => {
    expect(parseLabels(text)).toEqual(labels);
  });
});
