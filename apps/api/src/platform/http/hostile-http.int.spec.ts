import { connect } from 'node:net';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';
import { DEFAULT_TRAFFIC } from '../traffic/traffic-config.ts';
import { BODY_LIMIT_BYTES } from './http-server.ts';

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi({ traffic: { ...DEFAULT_TRAFFIC, bodyMs: 300 } });
}, 120_000);
afterAll(() => api.stop());

const ANSWER_TIMEOUT_MS = 10_000;
const AUTH = `Authorization: Bearer ${ADMIN_TOKEN}\r\n`;
const JSON_TYPE = 'Content-Type: application/json\r\n';
const SECRETS = '/api/v1/namespaces/default/secrets';

interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** What a server answers to these bytes, on a connection the client does not close. */
function exchange(bytes: string | Buffer): Promise<RawAnswer> {
  const { hostname, port } = new URL(api.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), ANSWER_TIMEOUT_MS);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const [head = '', body = ''] = text.split('\r\n\r\n', 2);
      const length = /content-length: (\d+)/i.exec(head)?.[1];
      if (length === undefined || body.length < Number(length)) return;
      clearTimeout(timer);
      socket.destroy();
      resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), head, body });
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after: ${text}`)));
  });
}

const get = (target: string, headers = ''): string => `GET ${target} HTTP/1.1\r\nHost: x\r\n${AUTH}${headers}\r\n`;
const post = (body: string, headers = JSON_TYPE, target = SECRETS): Buffer => {
  const bytes = Buffer.from(body, 'utf8');
  return Buffer.concat([Buffer.from(`POST ${target} HTTP/1.1\r\nHost: x\r\n${AUTH}${headers}Content-Length: ${bytes.length}\r\n\r\n`), bytes]);
};
const secret = (metadata: string): string => `{"apiVersion":"v1","kind":"Secret","metadata":${metadata}}`;

describe('a hostile request gets a Status that blames it', () => {
  it.each<[string, string | Buffer, number]>([
    ['no HTTP', 'EHLO mail\r\n\r\n', 400],
    ['two lengths', `POST ${SECRETS} HTTP/1.1\r\nHost: x\r\n${AUTH}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, 400],
    ['length and chunks, as smugglers send', `POST ${SECRETS} HTTP/1.1\r\nHost: x\r\n${AUTH}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['an unknown method', `FETCH ${SECRETS} HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`, 400],
    ['headers without end', `GET /version HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(40_000)}\r\n\r\n`, 431],
    ['a null byte in a header', `GET /version HTTP/1.1\r\nHost: x\r\nX-Null: a\0b\r\n\r\n`, 400],
    ['broken percent-encoding', get('/api/v1/namespaces/%zz/secrets'), 400],
    ['percent-encoding that is no UTF-8', get('/api/v1/namespaces/%ff%fe/secrets'), 400],
    ['an overlong slash', get('/api/v1/namespaces/%c0%af/secrets'), 400],
    ['an encoded null', get(`${SECRETS}/a%00b`), 400],
    ['a null in a selector', get(`${SECRETS}?labelSelector=a%00`), 400],
    ['dot segments', get('/api/v1/namespaces/default/../kube-system/secrets'), 400],
    ['a name of 600 letters', get(`${SECRETS}/${'a'.repeat(600)}`), 400],
    ['a limit that is a word', get(`${SECRETS}?limit=lots`), 400],
    ['a limit beyond all numbers', get(`${SECRETS}?limit=99999999999999999999999999`), 400],
    ['a version beyond all numbers', get(`${SECRETS}?resourceVersion=99999999999999999999999999&resourceVersionMatch=Exact`), 400],
    ['a repeated parameter', get(`${SECRETS}?limit=1&limit=x`), 200],
    ['a parameter called __proto__', get(`${SECRETS}?__proto__=x&constructor=y`), 200],
    ['a body announced larger than any may be, without sending it', `POST ${SECRETS} HTTP/1.1\r\nHost: x\r\n${AUTH}${JSON_TYPE}Content-Length: ${BODY_LIMIT_BYTES + 1}\r\n\r\n`, 413],
    ['chunks that never end', Buffer.concat([Buffer.from(`POST ${SECRETS} HTTP/1.1\r\nHost: x\r\n${AUTH}${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n`), Buffer.from(`100000\r\n${' '.repeat(0x100000)}\r\n`.repeat(4))]), 413],
    ['a body that never comes', `POST ${SECRETS} HTTP/1.1\r\nHost: x\r\n${AUTH}${JSON_TYPE}Content-Length: 10\r\n\r\n{`, 408],
    ['chunks that dawdle', `POST ${SECRETS} HTTP/1.1\r\nHost: x\r\n${AUTH}${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`, 408],
    ['a compressed body', post('{}', `${JSON_TYPE}Content-Encoding: gzip\r\n`), 415],
    ['an empty body', post(''), 400],
    ['half an object', post('{"apiVersion":'), 400],
    ['U+0000 in a value', post(secret('{"name":"a","labels":{"a":"\\u0000"}}')), 400],
    ['U+0000 in a key', post(secret('{"name":"a","labels":{"\\u0000":"a"}}')), 400],
    ['half a surrogate pair', post(secret('{"name":"a","annotations":{"a":"\\ud800"}}')), 400],
    ['bytes that are no UTF-8', Buffer.concat([Buffer.from(`POST ${SECRETS} HTTP/1.1\r\nHost: x\r\n${AUTH}${JSON_TYPE}Content-Length: 4\r\n\r\n`), Buffer.from([0x22, 0xff, 0xfe, 0x22])]), 400],
    ['a __proto__', post('{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"__proto__":{"type":"x"}}'), 400],
    ['100,000 brackets', post('['.repeat(100_000)), 400],
    ['10,000 nested objects', post(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`), 400],
    ['a number beyond all numbers', post('{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","generation":1e999}}'), 400],
    ['YAML that multiplies', post(`a: &a [${'x,'.repeat(100)}]\nb: &b [${'*a,'.repeat(100)}]\nc: [${'*b,'.repeat(100)}]`, 'Content-Type: application/yaml\r\n'), 400],
    ['YAML that contains itself', post('&a [*a]', 'Content-Type: application/yaml\r\n'), 400],
    ['a type of nowhere', post('{}', 'Content-Type: image/png\r\n'), 415],
    ['a type that is none', post('{}', 'Content-Type: ;;;\r\n'), 415],
    ['protobuf that is none', post('k8s\0\x08\xff', 'Content-Type: application/vnd.kubernetes.protobuf\r\n'), 400],
  ])('%s', async (_title, bytes, status) => {
    const answer = await exchange(bytes);
    expect([answer.status, answer.body.slice(0, 200)]).toEqual([status, expect.any(String)]);
    if (status >= 400) expect(JSON.parse(answer.body)).toMatchObject({ kind: 'Status', status: 'Failure', code: status });
  });

  it('and the next one is served', async () => expect((await exchange(get('/version'))).status).toBe(200));
});

describe('a request id', () => {
  const idOf = async (sent: string): Promise<string> => /x-request-id: (.*)/i.exec((await exchange(get('/version', `X-Request-Id: ${sent}\r\n`))).head)?.[1] ?? '';
  it('of the caller is kept where it is fit to be written down, and replaced where it is not', async () => {
    expect(await idOf('build-7/step_2')).toBe('build-7/step_2');
    for (const sent of ['"quoted"', 'x'.repeat(200), 'a b', '<script>', '{}']) expect(await idOf(sent)).toMatch(/^[0-9a-f-]{36}$/);
  });
});
