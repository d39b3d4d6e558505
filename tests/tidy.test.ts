// Holds the rules of the house that a machine can hold, so that nobody has to remember them. Each
// test names every place that breaks its rule. An exception is written down here, with its reason.

import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  type Found,
  listFiles,
  readTypeScript,
  root,
  type TypeScriptFile,
} from './support/source-tree.ts'

const READ_TIMEOUT_MS = 60_000

let paths: string[] = []
let sources: TypeScriptFile[] = []

beforeAll(() => {
  paths = listFiles()
  sources = readTypeScript(paths.filter(path => path.endsWith('.ts')))
}, READ_TIMEOUT_MS)

/** `path:line what` for every finding of every file that is meant. */
function findings(
  isMeant: (path: string) => boolean,
  find: (file: TypeScriptFile) => readonly Found[],
): string[] {
  return sources
    .filter(file => isMeant(file.path))
    .flatMap(file => find(file).map(({ line, text }) => `${file.path}:${line} ${text.trim()}`))
}

const inTests = (path: string) => path.startsWith('tests/')
const inFolder = (folder: string) => (path: string) => path.startsWith(`${folder}/`)
const anywhere = () => true

/** The layers below each layer, which its files may import besides packages and each other. */
const layers: Record<string, readonly string[]> = {
  'lib/kafka': [],
  'lib/core': ['lib/kafka'],
  'lib/io': ['lib/core', 'lib/kafka'],
  'lib/run': ['lib/core', 'lib/io', 'lib/kafka'],
}

// Where a new file goes:
// 1. It holds a socket, a file, a clock, an environment or an SDK client: lib/io/<what it talks
// to>. 2. It knows Kafka's bytes and does no I/O: lib/kafka. 3. It can be told without I/O (a
// decision, a row, a sentence): lib/core/<capability>. 4. It performs that: lib/run/<the same
// capability>. A file that two capabilities need goes to the lowest room that both may import:
// observe (looks at topics and logs), compare (reads records) or partition (a leased partition, its
// memory and its durable writes).

/** The rooms of each layer, and the other rooms of the same layer that each may import. */
const roomsOf: Record<string, Record<string, readonly string[]>> = {
  'lib/core': {
    'lib/core': [],
    'lib/core/config': ['lib/core'],
    'lib/core/offsets': ['lib/core/config', 'lib/core'],
    'lib/core/partition': [
      ...['lib/core/offsets', 'lib/core/translate', 'lib/core/config', 'lib/core'],
    ],
    'lib/core/failover': [
      ...['lib/core/partition', 'lib/core/offsets', 'lib/core/translate', 'lib/core/config'],
      'lib/core',
    ],
    'lib/core/row': [
      ...['lib/core/failover', 'lib/core/partition', 'lib/core/offsets', 'lib/core/translate'],
      ...['lib/core/sync', 'lib/core'],
    ],
    'lib/core/replicate': ['lib/core/partition', 'lib/core/config', 'lib/core'],
    'lib/core/plan': [
      ...['lib/core/replicate', 'lib/core/row', 'lib/core/partition', 'lib/core/config'],
      'lib/core',
    ],
    'lib/core/watch': ['lib/core/replicate', 'lib/core/partition', 'lib/core/config', 'lib/core'],
    'lib/core/standby': ['lib/core/watch', 'lib/core/partition', 'lib/core/config', 'lib/core'],
    'lib/core/sync': ['lib/core/standby', 'lib/core/partition', 'lib/core/config', 'lib/core'],
    'lib/core/translate': ['lib/core/config', 'lib/core'],
    'lib/core/monitoring': ['lib/core'],
    'lib/core/drill': ['lib/core/config', 'lib/core'],
    'lib/core/mirror-maker': [
      ...['lib/core/mirror-maker/properties', 'lib/core/standby', 'lib/core/config', 'lib/core'],
    ],
    'lib/core/mirror-maker/forms': ['lib/core/mirror-maker/properties', 'lib/core/mirror-maker'],
    'lib/core/mirror-maker/properties': [],
    // An audit that decides as the copying does would repeat its mistakes.
    'lib/core/audit': ['lib/core/pairing', 'lib/core'],
    'lib/core/pairing': ['lib/core'],
  },
  'lib/io': {
    'lib/io': ['lib/io/failure'],
    'lib/io/failure': [],
    'lib/io/config': ['lib/io/failure'],
    'lib/io/mirror-maker': [],
    'lib/io/security': ['lib/io/failure', 'lib/io'],
    'lib/io/cluster': ['lib/io/security', 'lib/io/failure', 'lib/io'],
    'lib/io/admin': ['lib/io/cluster', 'lib/io/failure', 'lib/io'],
    'lib/io/table': ['lib/io/failure', 'lib/io'],
    'lib/io/anchors': ['lib/io/table', 'lib/io/failure', 'lib/io'],
    'lib/io/sync': ['lib/io/table', 'lib/io/failure', 'lib/io'],
    'lib/io/failover': ['lib/io/table', 'lib/io/failure', 'lib/io'],
  },
  'lib/run': {
    'lib/run': ['lib/run/operate'],
    'lib/run/drill': [
      ...['lib/run/failback', 'lib/run/failover', 'lib/run/operate', 'lib/run/compare'],
      ...['lib/run/observe', 'lib/run'],
    ],
    'lib/run/failback': [
      ...['lib/run/failover', 'lib/run/fence', 'lib/run/operate', 'lib/run/sync'],
      ...['lib/run/translate', 'lib/run/compare', 'lib/run/observe', 'lib/run'],
    ],
    'lib/run/failover': [
      ...['lib/run/fence', 'lib/run/operate', 'lib/run/sync', 'lib/run/follow'],
      ...['lib/run/translate', 'lib/run/compare', 'lib/run/observe', 'lib/run'],
    ],
    'lib/run/fence': ['lib/run/operate', 'lib/run/compare', 'lib/run/observe', 'lib/run'],
    'lib/run/operate': [
      ...['lib/run/replicate', 'lib/run/plan', 'lib/run/watch', 'lib/run/recover'],
      ...['lib/run/sync', 'lib/run/follow', 'lib/run/delete', 'lib/run/partition'],
      'lib/run/compare',
      ...['lib/run/observe', 'lib/run'],
    ],
    'lib/run/replicate': [
      ...['lib/run/produce', 'lib/run/pad', 'lib/run/recover', 'lib/run/partition'],
      ...['lib/run/worker', 'lib/run/observe', 'lib/run'],
    ],
    'lib/run/pad': [
      ...['lib/run/recover', 'lib/run/partition', 'lib/run/compare', 'lib/run/observe'],
    ],
    'lib/run/produce': [
      ...['lib/run/pad', 'lib/run/recover', 'lib/run/partition', 'lib/run/compare'],
      'lib/run/observe',
    ],
    'lib/run/recover': [
      ...['lib/run/partition', 'lib/run/worker', 'lib/run/compare', 'lib/run/observe', 'lib/run'],
    ],
    'lib/run/plan': ['lib/run/compare', 'lib/run/observe', 'lib/run'],
    // Translation says where an audit begins, and nothing else of the copying's rooms is asked.
    'lib/run/audit': ['lib/run/translate', 'lib/run/observe', 'lib/run'],
    'lib/run/watch': ['lib/run/compare', 'lib/run/observe', 'lib/run'],
    'lib/run/partition': ['lib/run/worker', 'lib/run/observe', 'lib/run'],
    'lib/run/worker': ['lib/run'],
    'lib/run/sync': ['lib/run/follow', 'lib/run/translate', 'lib/run/observe', 'lib/run'],
    'lib/run/follow': ['lib/run/delete', 'lib/run/compare', 'lib/run/observe', 'lib/run'],
    'lib/run/delete': ['lib/run/observe', 'lib/run'],
    'lib/run/translate': ['lib/run/compare', 'lib/run/observe', 'lib/run'],
    'lib/run/compare': ['lib/run/observe', 'lib/run'],
    'lib/run/observe': ['lib/run'],
  },
}

function roomOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

test('every TypeScript file is in the project that the type checker reads', () => {
  const read = new Set(sources.map(file => file.path))
  expect(read.size).toBeGreaterThan(100)
  expect(paths.filter(path => path.endsWith('.ts') && !read.has(path))).toEqual([])
})

describe('imports go one way', () => {
  for (const [layer, below] of Object.entries(layers)) {
    test(`${layer} imports ${below.length === 0 ? 'no other layer' : below.join(', ')} and no other part`, () => {
      const allowed = [layer, ...below]
      const found = findings(inFolder(layer), file =>
        file.imports.filter(
          ({ text }) => text.endsWith('.ts') && !allowed.some(each => text.startsWith(`${each}/`)),
        ),
      )
      expect(found).toEqual([])
    })
  }

  for (const [layer, rooms] of Object.entries(roomsOf)) {
    test(`each room of ${layer} imports only the rooms of ${layer} that its row names`, () => {
      const found = findings(inFolder(layer), file => {
        const room = roomOf(file.path)
        const allowed = [room, ...(rooms[room] ?? [])]
        return file.imports.filter(
          ({ text }) => text.startsWith(`${layer}/`) && !allowed.includes(roomOf(text)),
        )
      })
      expect(found).toEqual([])
    })

    test(`${layer} has the rooms of its table and no other`, () => {
      const existing = new Set(paths.filter(inFolder(layer)).map(roomOf))
      expect([...existing].sort()).toEqual(Object.keys(rooms).sort())
    })
  }

  test('no file imports itself through others', () => {
    expect(circles(sources.filter(file => !inTests(file.path)))).toEqual([])
  })

  test('kafkajs is loaded by one file, which silences its warning, and never by lib', () => {
    const owner = 'cli/kafkajs/load-kafkajs.ts'
    const loads = /import(?! type)[^'"]*from 'kafkajs'|import\('kafkajs'\)/
    const loading = sources.filter(({ lines }) => loads.test(lines.join('\n')))
    expect(loading.map(({ path }) => path)).toEqual([owner])
    const isLib = (path: string) => path.startsWith('lib/')
    const isKafkaJs = ({ text }: Found) => text === 'kafkajs'
    expect(findings(isLib, file => file.imports.filter(isKafkaJs))).toEqual([])
  })

  test('nothing but tests imports tests', () => {
    const isMeant = (path: string) => !inTests(path)
    expect(findings(isMeant, file => file.imports.filter(({ text }) => inTests(text)))).toEqual([])
  })

  test('nothing passes on the names of another file', () => {
    expect(findings(anywhere, file => file.reexports)).toEqual([])
  })
})

describe('the wall: lib/kafka and lib/core are bytes and decisions', () => {
  const pure = (path: string) => path.startsWith('lib/kafka/') || path.startsWith('lib/core/')

  test('they use no package but the ones named here', () => {
    const allowed: Record<string, readonly string[]> = {
      // The reader and writer of Kafka's primitive types, codecs; zlib's are the ones with a bound.
      'lib/kafka': ['@platformatic/kafka', 'node:assert/strict', 'node:zlib'],
      // The schema of the configuration, patterns of topics, and the nearest known key.
      'lib/core': ['zod', 're2js', 'fastest-levenshtein'],
    }
    for (const [layer, packages] of Object.entries(allowed)) {
      const found = findings(inFolder(layer), file =>
        file.imports.filter(({ text }) => !text.endsWith('.ts') && !packages.includes(text)),
      )
      expect(found).toEqual([])
    }
  })

  test('they know no clock, no chance, no timer, no process and no console', () => {
    const walled = new Set(
      [
        'Date',
        'performance',
        'Math.random',
        'crypto',
        'setTimeout',
        'setInterval',
        'setImmediate',
      ].concat(['queueMicrotask', 'process', 'console', 'fetch', 'globalThis', 'Intl']),
    )
    expect(findings(pure, file => file.names.filter(({ text }) => walled.has(text)))).toEqual([])
  })
})

describe('size', () => {
  const LINES_MAX = 500
  const LINES_QUESTIONED = 300
  const FUNCTION_LINES_MAX = 70
  const ROOM_FILES_MAX = 12
  const COLUMNS_MAX = 100
  const SENTENCE_COLUMNS_MAX = 160

  test(`a file has at most ${LINES_MAX} lines; above ${LINES_QUESTIONED} it is named here`, () => {
    const long = sources
      .filter(file => !inTests(file.path) && file.lines.length > LINES_QUESTIONED)
      .map(file => `${file.path}: ${file.lines.length} lines`)
    if (long.length > 0)
      console.info(`Questioned, above ${LINES_QUESTIONED} lines: ${long.join(', ')}`)
    // Tests may be longer: a table or a list of cases is not better for being cut in two.
    const tooLong = sources.filter(file => !inTests(file.path) && file.lines.length > LINES_MAX)
    expect(tooLong.map(file => file.path)).toEqual([])
  })

  test(`a room has at most ${ROOM_FILES_MAX} files of its own: the thirteenth opens a room`, () => {
    // lib/kafka is one alphabet of bytes. Files of tests stand beside each other, one per promise.
    const limits: Record<string, number> = { 'lib/kafka': 23 }
    const counts = new Map<string, number>()
    for (const path of paths.filter(each => each.endsWith('.ts') && !each.endsWith('.test.ts'))) {
      counts.set(roomOf(path), (counts.get(roomOf(path)) ?? 0) + 1)
    }
    const full = [...counts].filter(([room, count]) => count > (limits[room] ?? ROOM_FILES_MAX))
    expect(full).toEqual([])
  })

  test(`a function has at most ${FUNCTION_LINES_MAX} lines, the functions inside it not counted`, () => {
    const excepted = [
      // One sentence for each kind of incident: a table, written as the
      // switch that proves it complete.
      'lib/core/monitoring/incident-lines.ts incidentLines',
    ]
    const found = sources
      .filter(file => !inTests(file.path))
      .flatMap(file =>
        file.functions
          .filter(each => each.ownLines > FUNCTION_LINES_MAX)
          .map(each => `${file.path} ${each.text.replace(/^.*\s/, '')}`),
      )
    expect(found.filter(each => !excepted.includes(each))).toEqual([])
  })

  test(`a comment ends before column ${COLUMNS_MAX}; an address may reach beyond it`, () => {
    const found = findings(anywhere, file =>
      file.comments.flatMap(({ line }) => {
        const text = file.lines[line - 1] ?? ''
        return text.length > COLUMNS_MAX && !text.includes('://') ? [{ line, text }] : []
      }),
    )
    expect([...new Set(found)]).toEqual([])
  })

  test(`a line with a sentence in it ends before column ${SENTENCE_COLUMNS_MAX}`, () => {
    // The formatter breaks code at column 100 and leaves strings alone, and so do we up
    // to a point: a sentence that an operator reads is found again by searching for it
    // only when it was not cut up.
    const verbatim = 'Log truncation detected for'
    const found = findings(anywhere, file =>
      file.lines
        .map((text, index) => ({ line: index + 1, text }))
        .filter(({ text }) => text.length > SENTENCE_COLUMNS_MAX && !text.includes(verbatim)),
    )
    expect(found).toEqual([])
  })
})

describe('words', () => {
  /** Each word with what to say instead. */
  const banned: Record<string, RegExp> = {
    'message: say record (or record batch)': /\bmessages?\b/i,
    'hwm: say high watermark': /\bhwm\b/i,
    'LSO: say last stable offset': /\blso\b/i,
    'src: say source': /\bsrc\b/i,
    'dest: say target': /\bdest\b/i,
    'upstream, downstream: say source, target': /\b(?:up|down)stream\b/i,
    'TODO: do it, or write it down as a gap': /\b(?:TODO|FIXME|XXX)\b/,
    'utils, helper, manager: say what it does': /\b(?:utils?|helpers?|managers?)\b/i,
    // Words that had two meanings, or that only we knew; docs/GLOSSARY.md has those that stayed.
    'take over: say recover (after a crash), or hand over (in good order)':
      /\b(?:tak(?:e|es|en|ing)|took)[ -]over\b|\btake-?overs?\b/i,
    'silence (the noun): say fence; or does not answer, unobserved':
      /(?<!\bin )\bsilence\b(?!\.test)/i,
    'give back (a lease, memory): say release': /\bg[ai]v(?:e|es|en|ing) (?:\w+ ){0,3}back\b/i,
    'auditor, audited: say watch, health; an audit compares records': /\baudit(?:or|ors|ed|s)\b/i,
    'join (of batches): say coalesce; JoinGroup is what Kafka calls joining':
      /\bjoin(?:s|ed|ing)? (?:small |tiny )?batch|\bbatch(?:es)? (?:(?:are|is|were|stay) )?joined\b|\bjoined (?:batch|one)/i,
    'finale: say after flush': /\bfinales?\b/i,
    'appetite: say fetch share': /\bappetites?\b/i,
    'stretch: say offset span': /\bstretch(?:es)?\b/i,
    'parting: say divergence point': /\bpartings?\b/i,
    'trouble: say retry reason, or what failed': /\btroubles?\b/i,
    'finding (the noun): say observation failure':
      /\bfindings\b|\b(?:an?|the|every|each) finding\b/i,
    'a run that follows, tails: say continuous run':
      /\btailing\b|\b(?:runs?|workers?) that (?:follows?|tails?)\b|\bfollows? (?:the log|its partitions)\b/i,
    'in good order: say released, or ended normally': /\bin good order\b/i,
    'Of ...: begin a sentence with its subject': /(?:^|[.?!:|*/(-]\s*)Of\s+[a-z]/,
  }
  /** Where a banned word is somebody else's. */
  const excepted: readonly RegExp[] = [
    // Alert rules of other people match on these words, so they are a contract.
    /messages detected/,
    // Names in Kafka, in its clients, in Node and in commander; the field of an error.
    /\.message\b|max\.message\.bytes|message\.max\.bytes|message\.timestamp|common\.utils(?:\.Utils)?|node:util|`message`|error's message/,
    /flush\.messages|message\.format\.version|message\.downconversion/,
    // How often a newcomer's own producer sends, in the newcomer's words.
    /messages\/s/,
    /package managers/,
    // Services of AWS, a command of one, and a package.
    /Secrets Manager|secrets-manager/,
    /receive-message|number-of-messages/,
    /wasm-utils/,
    // A log level of esbuild and npm; a field; what cfn-lint calls its output.
    /^'silent'$|^'findings'$|findings of cfn-lint/,
    // Files of Node's own, in a profile.
    /node:internal\/[\w/]+/,
  ]
  const withoutExceptions = (text: string) =>
    excepted.reduce((rest, exception) => rest.replace(new RegExp(exception, 'g'), ''), text)

  // The test that bans the words has to name them.
  const isMeant = (path: string) => path !== 'tests/tidy.test.ts'

  for (const [rule, word] of Object.entries(banned)) {
    test(`${rule}: in comments, sentences and documents`, () => {
      const spoken = findings(isMeant, file =>
        [...file.comments, ...file.strings].filter(({ text }) =>
          word.test(withoutExceptions(text)),
        ),
      )
      const written = documents().flatMap(({ path, lines }) =>
        lines.flatMap((text, index) =>
          word.test(withoutExceptions(text)) ? [`${path}:${index + 1} ${text.trim()}`] : [],
        ),
      )
      expect([...spoken, ...written]).toEqual([])
    })
  }

  test('neither are they parts of names; a field called message is the name in Error, zod and kafkajs', () => {
    const words = new Set(
      ['hwm', 'lso', 'src', 'dest', 'upstream', 'downstream'].concat([
        'util',
        'utils',
        'helper',
        'helpers',
        'manager',
        'managers',
      ]),
    )
    // A service of AWS.
    const isService = (name: string) => /secrets_?manager/i.test(name)
    const isBanned = (name: string) =>
      name.split(/_|(?<=[a-z0-9])(?=[A-Z])/).some(part => words.has(part.toLowerCase()))
    const found = findings(isMeant, file =>
      file.names.filter(({ text }) => !text.includes('.') && !isService(text) && isBanned(text)),
    )
    expect(found).toEqual([])
  })

  test('no file is called after what it might be good for', () => {
    const names = paths.map(path => basename(path).replace(/(?:\.test)?\.\w+$/, ''))
    expect(
      names.filter(name =>
        /(?:^|-)(?:utils?|helpers?|managers?|common|misc|index)(?:-|$)/.test(name),
      ),
    ).toEqual([])
  })

  test('files have names of small letters, digits and dashes', () => {
    const found = paths.filter(path => path.endsWith('.ts')).map(path => basename(path))
    expect(
      found.filter(name => !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.config)?\.ts$/.test(name)),
    ).toEqual([])
  })

  test('neither code nor documents name a session, an issue or a path of the machine', () => {
    const inside = [
      /\bshared\//,
      /(?:^|[\s"'`(])\/work\b/,
      /(?:^|\s)#\d+\b/,
      /\bissue #?\d/i,
      /\bsessions? \d/i,
    ]
    const everything = [...documents(), ...sources.filter(({ path }) => isMeant(path))]
    const found = everything.flatMap(({ path, lines }) =>
      lines.flatMap((text, index) =>
        inside.some(each => each.test(text)) ? [`${path}:${index + 1} ${text.trim()}`] : [],
      ),
    )
    expect(found).toEqual([])
  })
})

describe('files', () => {
  test('every file of lib is used by something that is no test, and every support file by something', () => {
    const imported = (isMeant: (path: string) => boolean) =>
      new Set(
        sources
          .filter(({ path }) => isMeant(path))
          .flatMap(file => file.imports.map(each => each.text)),
      )
    const byProduct = imported(path => !inTests(path))
    const byAll = imported(anywhere)
    // A process of its own is started by its name.
    const started = (path: string) =>
      sources.some(
        file => file.path !== path && file.strings.some(each => each.text.includes(basename(path))),
      )
    const isSupport = (path: string) =>
      inTests(path) && path.endsWith('.ts') && !path.endsWith('.test.ts')
    const dead = paths.filter(path => {
      if (path.startsWith('lib/')) return !byProduct.has(path)
      return isSupport(path) && !byAll.has(path) && !started(path)
    })
    expect(dead).toEqual([])
  })

  test('every file opens with what it owns', () => {
    const isMeant = (path: string) => !path.endsWith('.test.ts') && !path.endsWith('.config.ts')
    const silent = sources.filter(
      ({ path, lines }) => isMeant(path) && !/^(?:\/\/|#!)/.test(lines[0] ?? ''),
    )
    expect(silent.map(file => file.path)).toEqual([])
  })

  test('a class is a kind of error; everything else is functions and unions', () => {
    const found = findings(anywhere, file =>
      file.classes.filter(({ text }) => !/ extends \w*Error\b/.test(text)),
    )
    expect(found).toEqual([])
  })
})

describe('tests', () => {
  test('all run: none is alone, and none is left out without a reason that is printed', () => {
    const isMeant = (path: string) => inTests(path) && path !== 'tests/tidy.test.ts'
    const left =
      /^(?:test|it|describe|suite)\.(?:only|todo|skip|fails|skipIf|runIf)$|^(?:xit|xtest|xdescribe|fit|fdescribe)$/
    const found = findings(isMeant, file =>
      file.names.filter(({ line, text }) => {
        // `context.skip('why')` within a test prints its reason; test.skip says nothing.
        const isSilent =
          text.endsWith('.skip') && text.startsWith('context.')
            ? !/\.skip\(\s*['"`]\S/.test(`${file.lines[line - 1]} ${file.lines[line] ?? ''}`)
            : false
        return left.test(text) || isSilent
      }),
    )
    expect(found).toEqual([])
  })

  test('none sleeps: a state is awaited, or a clock that jumps', () => {
    const isMeant = (path: string) => path.startsWith('tests/unit/')
    const found = findings(isMeant, file => file.names.filter(({ text }) => text === 'setTimeout'))
    expect(found).toEqual([])
  })
})

describe('docs/SPEC.md', () => {
  const page = readFileSync(join(root, 'docs/SPEC.md'), 'utf8')

  test('links only to files that exist', () => {
    const links = [...page.matchAll(/\]\(\.\.\/([^)#]+)\)/g)].map(match => match[1] ?? '')
    expect(links.length).toBeGreaterThan(40)
    expect(links.filter(link => !paths.includes(link))).toEqual([])
  })

  test('names only tests that exist in the file it links', () => {
    // A line that is indented goes on with the item before it.
    const lines = page
      .replace(/\n +/g, ' ')
      .split('\n')
      .filter(line => line.startsWith('- '))
    let named = 0
    const missing = lines.flatMap(line => {
      // A title belongs to the link before it.
      const parts = line.split(/\]\(\.\.\//).slice(1)
      return parts.flatMap(part => {
        const path = part.slice(0, part.indexOf(')'))
        const text = readFileSync(join(root, path), 'utf8')
        const titles = [...part.slice(path.length).matchAll(/"([^"]+)"/g)].map(
          match => match[1] ?? '',
        )
        named += titles.length
        return titles.filter(title => !text.includes(title)).map(title => `${path}: ${title}`)
      })
    })
    expect(missing).toEqual([])
    expect(named).toBeGreaterThan(100)
  })

  test('numbers its invariants in order, and says of each what holds it', () => {
    const numbers = [...page.matchAll(/^### I(\d+) /gm)].map(match => Number(match[1]))
    expect(numbers).toEqual(numbers.map((_, index) => index + 1))
    const sections = page.split(/^### /m).slice(1)
    expect(sections.filter(section => !/^- /m.test(section))).toEqual([])
  })
})

type Document = { readonly path: string; readonly lines: readonly string[] }

/** What people read or run that is no TypeScript. */
function documents(): Document[] {
  const isMeant = (path: string) => /(?:\.md|\.ya?ml|\.sh|\.properties|\.ci\/run)$/.test(path)
  return paths
    .filter(isMeant)
    .map(path => ({ path, lines: readFileSync(join(root, path), 'utf8').split('\n') }))
}

/**
 * Every group of files that import each other, however far around: `a -> b` for each such import.
 */
function circles(files: readonly TypeScriptFile[]): string[] {
  const imports = new Map(files.map(file => [file.path, file.imports.map(({ text }) => text)]))
  const reachable = (from: string): Set<string> => {
    const reached = new Set<string>()
    const open = [from]
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      for (const next of imports.get(path) ?? []) {
        if (imports.has(next) && !reached.has(next)) {
          reached.add(next)
          open.push(next)
        }
      }
    }
    return reached
  }
  const reached = new Map(files.map(({ path }) => [path, reachable(path)]))
  return [...imports].flatMap(([path, direct]) =>
    direct.filter(next => reached.get(next)?.has(path)).map(next => `${path} -> ${next}`),
  )
}
