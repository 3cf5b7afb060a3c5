// Holds bodies to the schemas of an OpenAPI document (JSON Schema 2020-12).
//
//   node bodies.mjs FILE         FILE holds {components, cases: [{place, schema, body}]}
//
// Prints {checked, faults: [{place, errors}]}.
import { readFileSync } from 'node:fs';
import Ajv from 'ajv/dist/2020.js';

const { components, cases } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const faults = [];
for (const { place, schema, body } of cases) {
  // Formats of OpenAPI (int64, …) say how wide a number is, which JSON does not know.
  const fits = new Ajv({ strict: false, validateFormats: false }).compile({ ...schema, components });
  if (!fits(body)) faults.push({ place, errors: fits.errors });
}
console.log(JSON.stringify({ checked: cases.length, faults }));
