// Owns the functions as Lambda runs them: every door of functions/ as one module of JavaScript, and
// beside it what they share and every package they use. Nothing is installed in the image. Does not
// own which doors there are (infra/code/image.yml).

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { parse } from 'yaml'
import { z } from 'zod'
import { kafkaClientParts } from './kafka-client-parts.ts'

const projectDirectory = join(import.meta.dirname, '..')

/** `image.yml`: what the image is started with, per function. */
const imageCode = z.record(
  z.string(),
  z.object({
    image: z.object({ command: z.tuple([z.string().regex(/^[a-z-]+\.handler$/)]) }),
  }),
)

export type BundledFile = { readonly path: string; readonly bytes: number }

/** The names of the functions, each of which has a door `functions/NAME.ts`. */
export async function listFunctions(): Promise<string[]> {
  const text = await readFile(join(import.meta.dirname, 'code', 'image.yml'), 'utf8')
  return Object.values(imageCode.parse(parse(text))).map(({ image: { command } }) =>
    command[0].replace(/\.handler$/, ''),
  )
}

/** Writes the modules to `directory`; about 1 s. Needs neither network nor Docker. */
export async function bundleFunctions(directory: string): Promise<BundledFile[]> {
  const names = await listFunctions()
  const { metafile } = await build({
    absWorkingDir: projectDirectory,
    entryPoints: names.map(name => join('functions', `${name}.ts`)),
    outdir: directory,
    bundle: true,
    platform: 'node',
    target: 'node24',
    // The doors await their configuration at the top level, which only ES modules may.
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    chunkNames: 'parts/[name]-[hash]',
    // What one door needs only now and then (reading secrets) stays a file that is read only then.
    splitting: true,
    // Identifiers stay: shorter ones would need every function to be given its name again when it
    // is made, on the way of every batch.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'linked',
    // The other form of this package opens a .wasm file beside its own, which would not be there.
    alias: { '@platformatic/wasm-utils': '@platformatic/wasm-utils/bundled' },
    plugins: [kafkaClientParts],
    // Both are optional there, and not installed.
    external: ['@node-rs/crc32', 'protobufjs'],
    // Packages in the old format ask for Node's own modules with `require`.
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
