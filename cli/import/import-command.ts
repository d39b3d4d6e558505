// `gapless import`: writes a gapless.yml from a configuration of MirrorMaker 2, and accounts for
// every property of it. Reaches no cluster.

import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { ImportReport } from '../../lib/core/mirror-maker/import.ts'
import type { CommandLine } from '../command-line.ts'
import type { Context } from '../context.ts'
import { exitCode, UsageError } from '../exit-code.ts'
import { renderImport } from './import-text.ts'

type Options = { out?: string; force?: true; json?: true }

export function addImportCommand(program: Command, cli: CommandLine): void {
  program
    .command('import')
    .summary('write a gapless.yml from a configuration of MirrorMaker 2')
    .description(
      'Reads mm2.properties, the connectors of Kafka Connect (files, or a folder), or a KafkaMirrorMaker2 of Strimzi, ' +
        'and writes what gapless needs for the same. Passwords become references. Every property without a ' +
        'counterpart is listed with the reason. Exit code 1 when something has to be decided before the first run.',
    )
    .argument('<files...>', 'the configuration of MirrorMaker 2')
    .option('--out <file>', 'write gapless.yml there; without it, it is printed')
    .option('--force', 'replace the file of --out')
    .option('--json', 'print JSON (docs/CLI.md)')
    .action(
      cli.action(async (context, files: string[], options: Options) => {
        const report = await read(files)
        const { out } = options
        const wrote =
          out === undefined ? null : await write(out, report.config, options.force === true)
        await print(context, report, { wrote, json: options.json === true })
        return report.decisions.length === 0 ? exitCode.ok : exitCode.failed
      }),
    )
}

async function read(files: readonly string[]): Promise<ImportReport> {
  const { readMirror } = await import('../../lib/io/mirror-maker/mirror-files.ts')
  const { importMirror } = await import('../../lib/core/mirror-maker/import.ts')
  try {
    return importMirror(await readMirror(files), files)
  } catch (error) {
    if (error instanceof Error && error.name === 'MirrorError') throw new UsageError(error.message)
    throw error
  }
}

/** A file that exists is replaced only where `--force` says so, and the command says so, too. */
async function write(out: string, text: string, mayReplace: boolean): Promise<string> {
  try {
    await writeFile(out, text, { flag: 'wx' })
    return `Wrote ${out}. `
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    if (code !== 'EEXIST') {
      throw new UsageError(`${out} cannot be written (${code}); name another file with --out`)
    }
    if (!mayReplace) {
      throw new UsageError(
        `${out} exists, and was not changed; name another file with --out, or add --force to replace it`,
      )
    }
    await writeFile(out, text)
    return `Replaced ${out}. `
  }
}

/** `wrote`: what was done to the file of --out; null: there is none. */
async function print(
  context: Context,
  report: ImportReport,
  { wrote, json }: { readonly wrote: string | null; readonly json: boolean },
): Promise<void> {
  if (json) {
    context.print(JSON.stringify(report))
    return
  }
  // Without --out the file is the answer, and everything about it goes to standard error.
  if (wrote === null) context.print(report.config.trimEnd())
  const say = wrote === null ? context.note : context.print
  say(`${wrote ?? ''}${await renderImport(report)}`)
}
