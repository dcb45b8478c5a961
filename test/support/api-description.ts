import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';

/** A JSON Schema (draft 2020-12). */
export type Schema = Readonly<Record<string, unknown>>;

/** Keywords whose value is a schema, a list of schemas, or schemas by name. Those of negations are left out. */
const SCHEMA = ['items', 'contentSchema'];
const SCHEMA_LIST = ['oneOf', 'anyOf', 'prefixItems'];

/** Reads a description in YAML, every `$ref` replaced by a copy of what it names. Throws if that is not there. */
export function readDescription(file: string): {
  readonly source: Record<string, unknown>;
  readonly whole: object;
} {
  const source = parse(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'));
  return { source, whole: resolveRefs(source, source) as object };
}

function resolveRefs(node: unknown, document: object): unknown {
  if (Array.isArray(node)) return node.map((each) => resolveRefs(each, document));
  if (typeof node !== 'object' || node === null) return node;
  const { $ref } = node as { $ref?: string };
  if ($ref === undefined) {
    const entries = Object.entries(node).map(([name, each]) => [name, resolveRefs(each, document)]);
    return Object.fromEntries(entries);
  }
  let target: unknown = document;
  for (const name of $ref.slice('#/'.length).split('/')) {
    target = (target as Record<string, unknown> | undefined)?.[name];
  }
  if (!$ref.startsWith('#/') || target === undefined) throw new Error(`nothing is at ${$ref}`);
  return resolveRefs(target, document);
}

/**
 * Checks values against the schemas of a description, also what is encoded within a text (`contentSchema`), and keeps
 * account of the parts of the schemas that no value has shown yet: members, items and alternatives.
 */
export class SchemaChecker {
  readonly #ajv = new Ajv2020({
    allErrors: true,
    // A part may leave the type to the whole, and a member to a part.
    strictTypes: false,
    strictRequired: false,
    strictTuples: false,
  });
  /** Every part that has not been seen, and where it stands. */
  readonly #unseen = new Map<object, string>();

  /** Where the parts stand that nothing has shown. */
  get unseen(): readonly string[] {
    return [...this.#unseen.values()];
  }

  /** Expects something without a schema, such as a status, to be `saw`. */
  expect(part: object, place: string): void {
    this.#unseen.set(part, place);
  }

  saw(part: object): void {
    this.#unseen.delete(part);
  }

  /** Expects every part of the schema to be seen. */
  expectAll(schema: Schema, place: string): void {
    this.expect(schema, place);
    for (const [name, part] of partsOf(schema)) this.expectAll(part, `${place} ${name}`);
  }

  /** Throws with what is wrong, unless the value is as the schema says. */
  check(schema: Schema, value: unknown, place: string): void {
    if (!this.#ajv.validate(schema, value)) {
      throw new Error(`${place}: ${this.#ajv.errorsText()}: ${JSON.stringify(value)}`);
    }
    this.#see(schema, value, place);
  }

  matches(schema: Schema, value: unknown): boolean {
    return this.#ajv.validate(schema, value) === true;
  }

  #see(schema: Schema, value: unknown, place: string): void {
    this.saw(schema);
    const { properties, items, prefixItems, contentSchema } = schema as {
      properties?: Record<string, Schema>;
      items?: Schema;
      prefixItems?: Schema[];
      contentSchema?: Schema;
    };
    for (const list of [schema['oneOf'], schema['anyOf']] as (Schema[] | undefined)[]) {
      for (const each of list ?? []) if (this.matches(each, value)) this.#see(each, value, place);
    }
    if (contentSchema !== undefined && typeof value === 'string') {
      const content = decode(value, String(schema['contentMediaType']));
      this.check(contentSchema, content, `${place}, within the text`);
    }
    if (Array.isArray(value)) {
      for (const [index, each] of value.entries()) {
        const schemaOfItem = prefixItems?.[index] ?? items;
        if (schemaOfItem !== undefined) this.#see(schemaOfItem, each, place);
      }
    } else if (typeof value === 'object' && value !== null) {
      for (const [name, each] of Object.entries(value)) {
        const member = properties !== undefined && Object.hasOwn(properties, name);
        if (member) this.#see(properties[name] as Schema, each, place);
      }
    }
  }
}

function partsOf(schema: Schema): [string, Schema][] {
  const parts = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>);
  for (const keyword of SCHEMA) {
    if (schema[keyword] !== undefined) parts.push([keyword, schema[keyword] as Schema]);
  }
  for (const keyword of SCHEMA_LIST) {
    for (const each of (schema[keyword] ?? []) as Schema[]) {
      const { const: only, pattern, title, type } = each;
      parts.push([`${keyword} ${JSON.stringify(only ?? pattern ?? title ?? type)}`, each]);
    }
  }
  return parts;
}

/** The content of a text, by its media type. Of a JWT, its header and its claims. */
function decode(text: string, mediaType: string): unknown {
  if (mediaType === 'application/json') return JSON.parse(text);
  if (mediaType !== 'application/jwt') throw new Error(`cannot decode ${mediaType}`);
  const [header = '', claims = ''] = text.split('.');
  return [header, claims].map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()));
}
