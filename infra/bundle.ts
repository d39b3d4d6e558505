// Owns the bundle that Lambda runs: each handler of functions/ as one JavaScript module, beside the
// modules and packages that they share. Nothing is installed in the image. Does not own the list of
// functions (infra/code/image.yml).

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { parse } from 'yaml'
import { z } from 'zod'
import { kafkaClientParts } from './kafka-client-parts.ts'

const projectDirectory = join(import.meta.dirname, '..')

/** `image.yml`: the command that the image is started with, per function. */
const imageCode = z.record(
  z.string(),
  z.object({
    image: z.object({ command: z.tuple([z.string().regex(/^[a-z-]+\.handler$/)]) }),
  }),
)

export type BundledFile = { readonly path: string; readonly bytes: number }

/** The names of the functions; the handler of each is in `functions/NAME.ts`. */
export async function listFunctions(): Promise<string[]> {
  const text = await readFile(join(import.meta.dirname, 'code', 'image.yml'), 'utf8')
  return Object.values(imageCode.parse(parse(text))).map(({ image: { command } }) =>
    command[0].replace(/\.handler$/, ''),
  )
}

/** Writes the modules to `directory`, in about 1 s. Needs neither network nor Docker. */
export async function bundleFunctions(directory: string): Promise<BundledFile[]> {
  const names = await listFunctions()
  const { metafile } = await build({
    absWorkingDir: projectDirectory,
    entryPoints: names.map(name => join('functions', `${name}.ts`)),
    outdir: directory,
    bundle: true,
    platform: 'node',
    target: 'node24',
    // The handlers await their configuration at the top level, which only ES modules may do.
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    chunkNames: 'parts/[name]-[hash]',
    // A module that a handler imports dynamically (reading secrets) stays a file of its own, which
    // is read only when it is needed.
    splitting: true,
    // Identifiers stay: with shorter ones, esbuild sets the name of each function again when the
    // function is created, which would cost time for every batch.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'linked',
    // The default export of this package opens a .wasm file beside its own, which no bundle has.
    alias: { '@platformatic/wasm-utils': '@platformatic/wasm-utils/bundled' },
    plugins: [kafkaClientParts],
    // Optional dependencies of bundled packages, which are not installed.
    external: ['@node-rs/crc32', 'protobufjs'],
    // CommonJS packages load Node's own modules with `require`.
    banner: {
      js:
        "import { createRequire as createBundleRequire } from 'node:module';" +
        'const require = createBundleRequire(import.meta.url);',
    },
    metafile: true,
    logLevel: 'silent',
  })
  return Object.entries(metafile.outputs).map(([path, { bytes }]) => ({ path, bytes }))
}
