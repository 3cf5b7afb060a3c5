// Holds an OpenAPI document to the specification's own JSON Schema, and follows every reference in it.
//
//   node validate.mjs URL        prints {version, valid, errors}
import { Validator } from '@seriousme/openapi-schema-validator';

const response = await fetch(process.argv[2]);
const validator = new Validator();
const result = await validator.validate(await response.json());
let unresolved = null;
if (result.valid) {
  try {
    validator.resolveRefs();
  } catch (error) {
    unresolved = String(error);
  }
}
console.log(JSON.stringify({
  version: validator.version ?? null,
  valid: result.valid && unresolved === null,
  errors: result.errors ?? unresolved,
}));
