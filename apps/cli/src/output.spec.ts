import { parse } from 'yaml';
import { drawTable, formatObjects, parseOutputFormat } from './output.ts';
import { UsageError } from './usage-error.ts';

const one = { name: 'virtualmachine.corral.dev/a', object: { metadata: { name: 'a' } } };
const two = { name: 'virtualmachine.corral.dev/b', object: { metadata: { name: 'b' } } };

it('one object is itself, several are a List, in JSON and in YAML', () => {
  expect(JSON.parse(formatObjects('json', [one]))).toEqual(one.object);
  expect(parse(formatObjects('yaml', [one, two]))).toEqual({ apiVersion: 'v1', kind: 'List', items: [one.object, two.object] });
});

it('names are one a line, as kubectl takes them back', () => expect(formatObjects('name', [one, two])).toBe(`${one.name}\n${two.name}`));

it('columns are as wide as their widest cell, and no line ends in spaces', () => {
  expect(drawTable(['Name', 'Phase'], [['a-long-name', 'Running'], ['b', '']])).toBe('NAME          PHASE\na-long-name   Running\nb');
});

it('a format that there is not is refused with those that there are', () => {
  expect(() => parseOutputFormat('xml')).toThrow(new UsageError('-o xml: must be one of json, yaml, wide, name'));
});
