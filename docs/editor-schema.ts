// Owns docs/gapless.schema.json: the schema of the configuration in the form that editors read
// (JSON Schema draft 7, which every one of them knows). It describes the file before `${NAME}` is
// replaced, so it accepts a variable wherever a value may come from the environment. Does not own
// the schema itself (lib/core/config/config.ts).

import { z } from 'zod'
import { configSchema } from '../lib/core/config/config.ts'

type JsonSchema = Readonly<Record<string, unknown>>

/** A text with a variable in it: its value is known only when the configuration is loaded. */
const variable: JsonSchema = { type: 'string', pattern: '\\$\\{' }

/** Numbers may arrive as text. */
const digitsOrVariable: JsonSchema = { type: 'string', pattern: '^[0-9]+$|\\$\\{' }

/** The text of docs/gapless.schema.json. */
export function renderEditorSchema(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-07' })
  return `${JSON.stringify(acceptVariables(schema), null, 2)}\n`
}

/** The same schema, with a variable accepted in every value that is more than any text. */
function acceptVariables(schema: JsonSchema): JsonSchema {
  const { description, default: byDefault, ...form } = schema
  return {
    ...(description === undefined ? {} : { description }),
    ...(byDefault === undefined ? {} : { default: byDefault }),
    ...acceptedForms(form),
  }
}

function acceptedForms(form: JsonSchema): JsonSchema {
  if (form.type === 'integer') return { anyOf: [form, digitsOrVariable] }
  const isLimited = form.type === 'boolean' || [form.pattern, form.enum, form.const].some(Boolean)
  if (isLimited) return { anyOf: [form, variable] }
  const inner = Object.entries(form).map(([key, value]) => [key, acceptVariablesIn(key, value)])
  return Object.fromEntries(inner)
}

function acceptVariablesIn(key: string, value: unknown): unknown {
  // Names of clusters are keys, where no variable is replaced.
  if (key === 'propertyNames' || typeof value !== 'object' || value === null) return value
  if (key === 'properties') {
    const properties = Object.entries(value).map(([name, each]) => [name, propertyOf(name, each)])
    return Object.fromEntries(properties)
  }
  if (!Array.isArray(value)) return acceptVariables(value as JsonSchema)
  return value.map(each => (typeof each === 'object' ? acceptVariables(each) : each))
}

function propertyOf(name: string, schema: JsonSchema): JsonSchema {
  const { description, ...form } = acceptVariables(schema)
  // One text may hold several brokers, which the configuration splits at the commas.
  if (name === 'brokers') return { description, anyOf: [{ type: 'string', minLength: 1 }, form] }
  return { description, ...form }
}
