// `serverless package`: the one place where the command line is called for it, so that any number
// of packagings may run at the same time. Owns the folder each of them works in; not what is
// packaged (serverless.yml), nor what becomes of it.

import { copyFile, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { runCommand } from '../localstack/processes/os-process.ts'

const projectDirectory = join(import.meta.dirname, '..')

/** Where the command line works, always: within the folder of the service. */
const workFolder = '.serverless'
const configuration = 'serverless.yml'

export type ServerlessPackaging = {
  readonly stage: string
  /** NAME=VALUE, in place of the stage's values in serverless.yml. */
  readonly params: readonly string[]
  /** Replaced by what is packaged. */
  readonly directory: string
  readonly env: NodeJS.ProcessEnv
}

/** Said to a person without a stack trace. */
export class PackageError extends Error {
  override readonly name = 'PackageError'
}

/** About 5 s. @throws PackageError with the output of the command when it fails. */
export async function runServerlessPackage(input: ServerlessPackaging): Promise<void> {
  // Not relative: the command runs in a folder of its own.
  const directory = resolve(input.directory)
  const service = await mkdtemp(join(tmpdir(), 'gapless-service-'))
  try {
    await linkProject(service)
    const { code, output } = await runCommand({
      command: process.execPath,
      args: [
        join(projectDirectory, 'node_modules', 'serverless', 'bin', 'serverless.js'),
        ...['package', '--stage', input.stage, '--package', directory],
        ...input.params.flatMap(each => ['--param', each]),
      ],
      cwd: service,
      env: input.env,
    })
    if (code === 0) return
    throw new PackageError(
      `serverless package (into ${directory}) failed with ${code}. Correct what it names and try again:\n${output.trim()}`,
    )
  } finally {
    // The links go, not what they lead to.
    await rm(service, { recursive: true, force: true })
  }
}

/**
 * Makes `service` the project in all but the work folder. Two packagings that shared one would
 * delete and read each other's files, and an artefact of one stage may then hold the other's
 * template. Everything is there, because a list would have to repeat what serverless.yml includes
 * and packs; as links, because one to a file that is gone by now does no harm.
 */
async function linkProject(service: string): Promise<void> {
  const entries = await readdir(projectDirectory)
  await Promise.all(
    entries.map(async entry => {
      if (entry === workFolder) return
      const from = join(projectDirectory, entry)
      const to = join(service, entry)
      // The command line takes a link to its configuration for none at all.
      await (entry === configuration ? copyFile(from, to) : symlink(from, to))
    }),
  )
}
