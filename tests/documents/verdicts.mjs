// Reads a list of documents from its input and writes what graphql-js makes of each: its structure, or null where it is none.
// node verdicts.mjs path/to/node_modules/graphql < texts.json

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const { parse, Kind } = createRequire(import.meta.url)(process.argv[2]);

const selected = (set) => `{${set.selections.map(selection).join('')}}`;

function selection(one) {
  switch (one.kind) {
    case Kind.FIELD:
      return `${one.alias ? `${one.alias.value}:` : ''}${one.name.value};${one.selectionSet ? selected(one.selectionSet) : ''}`;
    case Kind.INLINE_FRAGMENT:
      return `...on ${one.typeCondition ? one.typeCondition.name.value : ''}${selected(one.selectionSet)}`;
    default:
      return `...${one.name.value};`;
  }
}

function shape(text) {
  let document;
  try {
    document = parse(text, { noLocation: true });
  } catch {
    return null;
  }
  const of = (kind) => document.definitions.filter((definition) => definition.kind === kind);
  const operations = of(Kind.OPERATION_DEFINITION);
  const fragments = of(Kind.FRAGMENT_DEFINITION);
  if (operations.length + fragments.length < document.definitions.length) return null;
  return [
    ...operations.map((one) => `${one.operation} ${one.name ? one.name.value : ''}${selected(one.selectionSet)}`),
    ...fragments.map((one) => `fragment ${one.name.value} ${one.typeCondition.name.value}${selected(one.selectionSet)}`),
  ].join('');
}

const texts = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(texts.map(shape)));
