// Owns which parts of @platformatic/kafka go into the bundle: the protocol and the connections,
// which gapless uses. Its producer, consumer and admin compile a schema for each of their options
// when they are loaded, which took a third of a cold start and served nothing.

import { join, sep } from 'node:path'
import type { Plugin } from 'esbuild'

const client = join('node_modules', '@platformatic', 'kafka')
const isClient = (path: string) => path.includes(`${sep}${client}${sep}`)
const resolvesOnce = Symbol('resolves once')

/** The schema compiler, which one module of the client imports. */
const compiler = /^ajv\/dist\/2020\.js$/
/**
 * Only producer, consumer and admin call a validator; one that is bundled after all fails by name.
 */
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
    // The package.json of the client does not declare it: its modules have no side effects, so that
    // unused ones can be left out.
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
