// Owns the state of an audit as text, so that a later run can go on where an earlier one stood.
// Does not own where it is kept (the command line has a file), nor what it holds
// (run/audit/audit-partition.ts).
//
// JSON, in which {"n": "12"} is a bigint and {"m": [...]} the entries of a map.

/** Another form of state is not read: the audit begins anew. */
export const stateVersion = 1

export function writeState(state: unknown): string {
  return JSON.stringify(state, (_, value: unknown) => {
    if (typeof value === 'bigint') return { n: String(value) }
    return value instanceof Map ? { m: [...value] } : value
  })
}

/** Throws SyntaxError where the text is no JSON. */
export function readState(text: string): unknown {
  return JSON.parse(text, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null) return value
    const [[name, content] = [], ...others] = Object.entries(value)
    if (others.length > 0) return value
    if (name === 'n' && typeof content === 'string') return BigInt(content)
    if (name === 'm' && Array.isArray(content)) return new Map(content)
    return value
  })
}
