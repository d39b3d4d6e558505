// Owns the syntax of `sasl.jaas.config`: a login module, a control flag, and options, as Kafka's
// JaasConfig reads them. Does not own what the options mean (cluster-access.ts).

export type Jaas = {
  /** The class of the login module. */
  readonly module: string
  readonly options: ReadonlyMap<string, string>
}

/** A token: a text in quotes, a word, or one of `=` and `;`. */
const TOKEN = /\s*(?:"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|([^\s"'=;]+)|([=;]))/gy
const FLAGS = ['required', 'requisite', 'sufficient', 'optional']

/** The first login module; null when the text has another form. Its value is never quoted. */
export function parseJaas(text: string): Jaas | null {
  const tokens = tokensOf(text.replace(/^\s*\/\/.*$/gm, ''))
  const [module, flag, ...rest] = tokens ?? []
  if (module === undefined || !FLAGS.includes(flag?.toLowerCase() ?? '')) return null
  const end = rest.indexOf(';')
  if (end === -1 || end % 3 !== 0) return null
  const options = new Map<string, string>()
  for (let at = 0; at < end; at += 3) {
    const [name, equals, value] = rest.slice(at, at + 3)
    if (name === undefined || equals !== '=' || value === undefined) return null
    options.set(name, value.slice(1))
  }
  return { module, options }
}

/** Values have a mark in front, so that none is taken for `;`. */
function tokensOf(text: string): string[] | null {
  const tokens: string[] = []
  const trimmed = text.trimEnd()
  TOKEN.lastIndex = 0
  // Ends: each match moves lastIndex on.
  while (TOKEN.lastIndex < trimmed.length) {
    const found = TOKEN.exec(trimmed)
    if (found === null) return null
    const [, double, single, word, sign] = found
    const value = double ?? single
    const isValue = tokens.at(-1) === '='
    if (sign !== undefined) tokens.push(sign)
    else if (value !== undefined) tokens.push(`:${withoutEscapes(value)}`)
    else tokens.push(isValue ? `:${word}` : (word ?? ''))
  }
  return tokens
}

/** The escapes of Java's StreamTokenizer that a password may have. */
function withoutEscapes(text: string): string {
  const named: Record<string, string> = { n: '\n', t: '\t', r: '\r', f: '\f', b: '\b' }
  return text.replace(/\\(.)/gs, (_, next: string) => named[next] ?? next)
}
