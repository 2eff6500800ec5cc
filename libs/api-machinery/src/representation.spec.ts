import { type Problem } from '@corral/contracts';
import { mediaTypeOf } from './decode.ts';
import { negotiate } from './representation.ts';

it.each([
  [undefined, 'Object', 'json'],
  ['*/*', 'Object', 'json'],
  ['application/json, */*', 'Object', 'json'],
  ['application/yaml', 'Object', 'yaml'],
  ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io', 'Table', 'json'],
  ['application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json', 'Object', 'json'],
  ['application/vnd.kubernetes.protobuf,application/json', 'Object', 'json'],
  ['application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1', 'PartialObjectMetadata', 'json'],
  ['application/json;q=0.9', 'Object', 'json'],
])('answers Accept %s with a %s in %s', (accept, form, encoding) => {
  expect(negotiate(accept)).toMatchObject({ form, encoding });
});

it.each(['text/html', 'application/vnd.kubernetes.protobuf', 'application/json;as=Table;v=v9;g=meta.k8s.io', ';;;'])('has nothing for Accept %s', (accept) => {
  expect(() => negotiate(accept)).toThrow(expect.objectContaining({ code: 'media.not-acceptable' }) as Problem);
});

it.each([[undefined, 'application/json'], ['', 'application/json'], ['Application/JSON; charset=utf-8', 'application/json'], ['text/plain', 'text/plain']])('reads the media type of %s', (contentType, expected) => {
  expect(mediaTypeOf(contentType)).toBe(expected);
});
