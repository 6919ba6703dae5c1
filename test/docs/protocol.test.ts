// The page of the protocol and evenkeel.proto say of every frame what the codecs do: its number, its fields, their order and kinds.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { adviceFor } from '../../src/protocol/close-codes.ts';
import { frameLimits } from '../../src/protocol/frames.ts';
import { jsonCodec } from '../../src/protocol/json.ts';
import { clientTypes, serverTypes, shapes, type Field, type Shape } from '../../src/protocol/schema.ts';
import { codeIn, firstColumn, read, rowsOf, section, sectionsOf, sorted } from './pages.ts';

const text = read('docs/reference/protocol.md');
const page = sectionsOf(text);
const types = [...shapes.keys()] as string[];
const partRows = rowsOf(page, 'part');

/** Parts by their shape, as the page names them: found by following the fields that it gives them. */
const partOf = new Map<Shape, string>();

/** A field as the page writes it. */
function written({ name, kind, isOptional, isList }: Field): string {
  const told = typeof kind === 'string' ? kind : (partOf.get(kind) ?? 'unknown');
  return `\`${name}${isOptional ? '?' : ''}\` ${isList ? `[${told}]` : told}`;
}

const fieldsOf = ({ fields }: Shape): string => fields.map(written).join(', ');

/** Innermost first, so that each is written in words that are known. */
function learn(shape: Shape): void {
  for (const { kind } of shape.fields) {
    if (typeof kind === 'string' || partOf.has(kind)) continue;
    learn(kind);
    const row = partRows.find(([, fields]) => fields === fieldsOf(kind));
    assert.ok(row !== undefined, `no part has the fields ${fieldsOf(kind)}`);
    partOf.set(kind, codeIn(row[0])[0]);
  }
}

describe('the page', () => {
  for (const shape of shapes.values()) learn(shape);

  for (const [head, allowed] of [
    ['frame from a client', clientTypes],
    ['frame from a node', serverTypes],
  ] as const) {
    test(`every ${head}: number, fields, and what it says`, () => {
      const rows = rowsOf(page, head);
      const expected = types.filter((type) => allowed.has(type)).map((type) => [`\`${type}\``, `${types.indexOf(type) + 1}`, fieldsOf(shapes.get(type)!)]);
      assert.deepEqual(
        rows.map((row) => row.slice(0, 3)),
        expected,
      );
      for (const [type, , , meaning] of rows) assert.ok(meaning.length > 5, type);
    });
  }

  test('every part is used, and every kind has its row', () => {
    assert.deepEqual(sorted(partOf.values()), sorted(firstColumn(partRows)));
    const kinds = [...shapes.values(), ...partOf.keys()].flatMap(({ fields }) => fields.map(({ kind }) => kind));
    assert.deepEqual(sorted(kinds.filter((kind) => typeof kind === 'string')), sorted(firstColumn(rowsOf(page, 'kind'))));
  });

  test('the limits are those of the code', () => {
    const said = (limit: number): string => limit.toLocaleString('en-US');
    const { nameChars, tokenChars, framesPerMessage, positions, depth } = frameLimits;
    const kinds = rowsOf(page, 'kind');
    assert.equal(kinds.find(([kind]) => kind === '`name`')?.[1], `1 to ${said(nameChars)} characters (UTF-16 code units)`);
    assert.equal(kinds.find(([kind]) => kind === '`token`')?.[1], `up to ${said(tokenChars)} characters`);
    const limits = section(text, 'Limits and what is not known').text.replaceAll(/\s+/g, ' ');
    const sizes = `up to ${said(framesPerMessage)} frames in one message, up to ${said(positions)} subscriptions in one hello`;
    assert.ok(limits.includes(`${sizes}, and JSON payloads nested up to ${said(depth)} deep`));
  });

  test('its samples are messages', () => {
    const samples = /```json\n([^]*?)```/.exec(section(text, 'JSON form').text)?.[1] ?? '';
    // A message begins in the first column.
    const messages = samples.trim().split(/\n(?! )/);
    assert.ok(messages.length >= 4);
    for (const message of messages) {
      const frames = message.startsWith('[') ? jsonCodec.decodeServer(message) : jsonCodec.decodeClient(message);
      assert.ok((frames?.length ?? 0) > 0, message);
    }
  });

  test('what to do after a link ended is what the close codes say', () => {
    const rows = rowsOf(page, 'how it ended');
    const advice = (cell: string): string => (cell.startsWith('stop') ? 'stop' : cell.includes('another endpoint') ? 'elsewhere' : 'anywhere');
    let checked = 0;
    for (const [ended, what] of rows) {
      for (const [, from, to] of ended.replaceAll('xx', '00').matchAll(/\b(\d{4})(?: to (\d{4}))?/g)) {
        assert.equal(adviceFor(Number(from)), advice(what), from);
        if (to !== undefined) assert.equal(adviceFor(Number(to)), advice(what), to);
        checked++;
      }
    }
    assert.ok(checked >= 12);
  });
});

describe('evenkeel.proto', () => {
  const proto = protobuf.parse(read('src/protocol/evenkeel.proto')).root.lookup('evenkeel.v1') as protobuf.Namespace;
  const scalars: Record<string, string> = { name: 'string', token: 'string', text: 'string', user: 'string', number: 'uint64', flag: 'bool' };

  function mustAgree(shape: Shape, message: protobuf.Type): void {
    const declared = message.fieldsArray.map((field) => {
      const isOptional = field.partOf !== null;
      return [field.name, field.id, field.type, field.repeated, isOptional] as const;
    });
    const expected = shape.fields.flatMap(({ name, number, kind, isOptional, isList }) => {
      if (kind === 'payload') return [['json', number, 'string', false, true] as const, ['bytes', number + 1, 'bytes', false, true] as const];
      if (typeof kind === 'string') return [[name, number, scalars[kind], isList, isOptional || kind === 'user'] as const];
      const inner = message.fields[name]?.type;
      assert.ok(inner !== undefined, `${message.name} has ${name}`);
      mustAgree(kind, proto.lookupType(inner));
      return [[name, number, inner, isList, isOptional] as const];
    });
    assert.deepEqual(declared, expected, message.name);
  }

  const frame = proto.lookupType('Frame');
  assert.deepEqual(
    frame.fieldsArray.map(({ name, id }) => [name, id]),
    types.map((type, i) => [type, i + 1]),
  );
  for (const [i, type] of types.entries()) {
    test(type, () => mustAgree(shapes.get(type)!, proto.lookupType(frame.fieldsArray[i].type)));
  }

  test('the package has it, and exports it', () => {
    const { files } = JSON.parse(read('package.json')) as { files: string[] };
    assert.ok(files.includes('src/protocol/evenkeel.proto'));
    assert.equal(readFileSync(fileURLToPath(import.meta.resolve('evenkeel/evenkeel.proto')), 'utf8'), read('src/protocol/evenkeel.proto'));
  });

  test('no message is declared that no frame is made of', () => {
    const names = [...read('src/protocol/evenkeel.proto').matchAll(/^message (\w+)/gm)].map((match) => match[1]);
    const used = new Set(['Message', 'Frame', ...frame.fieldsArray.map(({ type }) => type)]);
    for (const name of used) for (const { type } of proto.lookupType(name).fieldsArray) if (names.includes(type)) used.add(type);
    assert.deepEqual(sorted(names), sorted(used));
  });
});
