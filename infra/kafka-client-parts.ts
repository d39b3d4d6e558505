// Owns what of the Kafka client is put into a bundle: the protocol and the connections, which is
// what we use. Its clients (producer, consumer, admin) compile a schema for every one of their
// options when they are loaded; that was a third of a cold start, for nothing.

import { join, sep } from 'node:path'
import type { Plugin } from 'esbuild'

const client = join('node_modules', '@platformatic', 'kafka')
const isClient = (path: string) => path.includes(`${sep}${client}${sep}`)
const resolvesOnce = Symbol('resolves once')

/** The compiler of schemas, which one module of it imports. */
const compiler = /^ajv\/dist\/2020\.js$/
/** Only the clients call a validator: should one be bundled after all, it says why it fails. */
const noCompiler = `
export class Ajv2020 {
  addKeyword() {}
  compile() {
    return () => { throw new Error('infra/kafka-client-parts.ts leaves the schemas of options out') }
  }
}`

export const kafkaClientParts: Plugin = {
  name: 'kafka-client-parts',
  setup(build) {
    build.onResolve({ filter: compiler }, ({ importer, path }) => {
      return isClient(importer) ? { path, namespace: 'no-compiler' } : null
    })
    build.onLoad({ filter: /.*/, namespace: 'no-compiler' }, () => ({ contents: noCompiler }))
    // The package does not say so itself: its modules do nothing but define what they export.
    build.onResolve({ filter: /^\.|^@platformatic\/kafka$/ }, async args => {
      if (args.pluginData === resolvesOnce) return null
      const { path, kind, importer, resolveDir } = args
      if (path.startsWith('.') && !isClient(importer)) return null
      const pluginData = resolvesOnce
      const found = await build.resolve(path, { kind, importer, resolveDir, pluginData })
      return found.errors.length > 0
        ? { errors: found.errors }
        : { path: found.path, sideEffects: false }
    })
  },
}
