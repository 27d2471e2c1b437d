// Loads the package into a realm that has only the language, TextEncoder and TextDecoder: no globals and no modules of
// Node. Runs in its own process with --experimental-vm-modules, and prints the loaded files and the results of the program
// below as one line of JSON.
import { readFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';

const packageUrl = new URL('../', import.meta.url).href;
const realm = vm.createContext({ TextDecoder, TextEncoder, results: {} });
const loaded = new Map<string, vm.SourceTextModule>();

async function load(url: string): Promise<vm.SourceTextModule> {
  const source = await readFile(fileURLToPath(url), 'utf8');
  // Looked up after the await: two files that import a third are linked concurrently.
  const known = loaded.get(url);
  if (known !== undefined) return known;
  const module = new vm.SourceTextModule(url.endsWith('.ts') ? stripTypeScriptTypes(source) : source, {
    context: realm,
    identifier: url,
  });
  loaded.set(url, module);
  return module;
}

async function link(specifier: string, referrer: vm.Module): Promise<vm.Module> {
  if (specifier.startsWith('.')) return await load(new URL(specifier, referrer.identifier).href);
  if (specifier === 'zod') return await load(import.meta.resolve('zod'));
  throw new Error(`${referrer.identifier} imports ${specifier}`);
}

const program = new vm.SourceTextModule(
  `
  import './src/position.ts';
  import './src/protocol.ts';
  import './src/traceparent.ts';
  import './src/messages.ts';
  import { decodeAttributes, decodePosition, encodePosition } from './src/codec.ts';
  import { decodeFields, encodeFields } from './src/entry.ts';
  import { parseClientMessage } from './src/parse-client-message.ts';
  import { defaultFutureFlagMs, fixQuality } from './src/quality.ts';
  import { eventTopic } from './src/topics.ts';

  const sent = {
    deviceId: '359421000012345', fixAtMs: 1795492274216, latitude: 48.1, longitude: 11.7, altitudeM: 512,
    courseDeg: 271, speedKmh: 87.5, satellites: 12, priority: 0,
    attributes: { 78: 7n, 385: new Uint8Array([1, 2, 3]), 256: 'é' },
  };
  const fields = encodeFields({ position: sent, codec: '8E' }).map((field) => new TextEncoder().encode(field));
  const { position, codec } = decodeFields(fields);
  const attributes = decodeAttributes(JSON.parse(position.attributesJson));
  const topic = eventTopic('0190c5de-7a5b-7000-8000-0123456789ab');

  results.nodeGlobals = ['process', 'Buffer', 'require', 'global', 'URL'].filter((name) => name in globalThis);
  results.codec = codec;
  results.isSame = encodePosition({ ...position, attributes }) === encodePosition(sent);
  results.bytes = [...attributes[385]];
  results.bigint = String(attributes[78]);
  results.rejected = decodePosition(new Uint8Array([0xff])).reason;
  results.quality = fixQuality(position, position.fixAtMs, defaultFutureFlagMs);
  results.message = parseClientMessage(JSON.stringify({ type: 'subscribe', topic }));
  results.problem = parseClientMessage('[').code;
  `,
  { context: realm, identifier: packageUrl },
);
await program.link(link);
await program.evaluate();
const files = [...loaded.keys()].map((url) => url.replace(packageUrl, ''));
process.stdout.write(`${JSON.stringify({ files, results: realm['results'] })}\n`);
