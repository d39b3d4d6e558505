// Which flows go together is told when the configuration is loaded, as far as names and patterns
// tell it; what only real topics tell is left to the ticks.

import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../../../lib/core/config/config.ts'

type Flow = Record<string, unknown>

/** A flow; more keys follow in `fields`. */
const flow = (from: string, to: string, topics: readonly string[], fields: Flow = {}): Flow => {
  return {
    name: `${from}-${to}-${topics.join('')}`.replace(/[^\w.-]/g, ''),
    from,
    to,
    topics,
    ...fields,
  }
}
const identity = { naming: 'identity' }

function parse(flows: readonly Flow[], brokers: Record<string, string> = {}) {
  const names = ['a', 'b', 'c', 'd', 'a.b']
  const clusters = Object.fromEntries(
    names.map((name, index) => [name, { brokers: brokers[name] ?? `h${index}:1` }]),
  )
  const named = flows.map((each, index) => ({ ...each, name: `f${index}` }))
  return parseConfig({ clusters, flows: named })
}

const problems = (...input: Parameters<typeof parse>) => {
  const parsed = parse(...input)
  return parsed.kind === 'valid'
    ? []
    : parsed.problems.map(({ path, accepted }) => `${path.join('.')}: ${accepted}`)
}

describe('two flows that write into one topic of a cluster', () => {
  test('both name the topic, and the later flow is told which topic and which flow', () => {
    expect(problems([flow('a', 'b', ['orders']), flow('a', 'b', ['users', 'orders'])])).toEqual([
      'flows.1.topics: topics that flow "f0" does not write: both would write a.orders on b; exclude ' +
        'it from one',
    ])
  })

  test.each<[string, Flow[]]>([
    ['a name and a pattern of one source', [flow('a', 'b', ['/o.*/']), flow('a', 'b', ['orders'])]],
    ['a pattern and a name', [flow('a', 'b', ['orders']), flow('a', 'b', ['/o.*/'])]],
    ['the same pattern', [flow('a', 'b', ['/o.*/']), flow('a', 'b', ['x', '/o.*/'])]],
    [
      'identity from two sources',
      [flow('a', 'c', ['o'], identity), flow('b', 'c', ['o'], identity)],
    ],
    ['identity and a prefix', [flow('a', 'c', ['o']), flow('b', 'c', ['a.o'], identity)]],
    ['prefixes that meet', [flow('a', 'c', ['b.o']), flow('a.b', 'c', ['o'])]],
  ])('they are refused: %s', (_case, flows) => {
    expect(problems(flows)).toEqual([
      expect.stringMatching(/^flows\.1\.topics: topics that flow "f0"/),
    ])
  })

  test.each<[string, Flow[]]>([
    ['other topics', [flow('a', 'b', ['x', '/o.*/']), flow('a', 'b', ['y', '/p.*/'])]],
    ['another cluster', [flow('a', 'b', ['o']), flow('a', 'c', ['o'])]],
    ['another prefix', [flow('a', 'c', ['o']), flow('b', 'c', ['o'])]],
    [
      'the topic is excluded',
      [flow('a', 'b', ['/.*/'], { exclude: ['o'] }), flow('a', 'b', ['o'])],
    ],
    ['patterns that may differ', [flow('a', 'b', ['/.*x/']), flow('a', 'b', ['/y.*/'])]],
    [
      'one pattern, whose exclusions differ',
      [
        flow('a', 'b', ['/.*/'], { exclude: ['/x.*/'] }),
        flow('a', 'b', ['/.*/'], { exclude: ['/[^x].*/'] }),
      ],
    ],
    [
      'a pattern of another source, which need not have the topic',
      [flow('a', 'c', ['o'], identity), flow('b', 'c', ['/.*/'], identity)],
    ],
  ])('they are accepted: %s', (_case, flows) => {
    expect(problems(flows)).toEqual([])
  })

  test('two names of one cluster are one cluster', () => {
    const flows = [flow('a', 'b', ['o']), flow('a', 'c', ['o'])]
    expect(problems(flows, { b: 'h9:1,h8:1', c: 'H8:1' })).toHaveLength(1)
  })

  test('flows whose patterns may share a topic know each other, and others do not', () => {
    const parsed = parse([
      flow('a', 'c', ['/.*x/']),
      flow('a', 'c', ['/y.*/']),
      flow('b', 'c', ['/a\\.y.*/'], identity),
      flow('b', 'c', ['/.*/']),
      flow('a', 'b', ['/y.*/']),
    ])
    if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
    expect(parsed.config.flows.map(each => each.rivals?.map(({ name }) => name))).toEqual([
      ['f1', 'f2'],
      ['f0', 'f2'],
      ['f0', 'f1'],
      [],
      [],
    ])
  })
})

describe('flows that copy a topic back to where it came from', () => {
  test('identity in both directions is refused, with the flows and the clusters', () => {
    const flows = [flow('a', 'b', ['/.*/'], identity), flow('b', 'a', ['/.*/'], identity)]
    expect(problems(flows)).toEqual([
      'flows.1.naming: prefix, or topics that do not come back: with identity the flows "f1" (b to a), "f0" ' +
        '(a to b) copy a topic to where it came from, again and again; exclude them from one',
    ])
  })

  test.each<[string, Flow[]]>([
    ['a name', [flow('a', 'b', ['o'], identity), flow('b', 'a', ['o'], identity)]],
    ['a name and a pattern', [flow('a', 'b', ['o'], identity), flow('b', 'a', ['/.*/'], identity)]],
    [
      'patterns that may meet',
      [flow('a', 'b', ['/.*x/'], identity), flow('b', 'a', ['/y.*/'], identity)],
    ],
    [
      'three clusters',
      [
        flow('a', 'b', ['/.*/'], identity),
        flow('b', 'c', ['/.*/'], identity),
        flow('c', 'a', ['/.*/'], identity),
      ],
    ],
    [
      'four clusters, in another order',
      [
        flow('c', 'd', ['/.*/'], identity),
        flow('a', 'b', ['/.*/'], identity),
        flow('d', 'a', ['/.*/'], identity),
        flow('b', 'c', ['/.*/'], identity),
      ],
    ],
  ])('they are refused: %s', (_case, flows) => {
    expect(problems(flows)).toEqual([
      expect.stringMatching(/^flows\.\d\.naming: prefix, or topics/),
    ])
  })

  test.each<[string, Flow[]]>([
    ['other names', [flow('a', 'b', ['x'], identity), flow('b', 'a', ['y'], identity)]],
    [
      'other beginnings',
      [flow('a', 'b', ['/x.*/'], identity), flow('b', 'a', ['/y.*/'], identity)],
    ],
    [
      'what comes back is excluded',
      [
        flow('a', 'b', ['/.*/'], { ...identity, exclude: ['/eu\\..*/'] }),
        flow('b', 'a', ['/eu\\.orders.*/'], identity),
      ],
    ],
    ['a line', [flow('a', 'b', ['/.*/'], identity), flow('b', 'c', ['/.*/'], identity)]],
    ['one direction has a prefix', [flow('a', 'b', ['/.*/']), flow('b', 'a', ['/.*/'], identity)]],
    ['both have a prefix', [flow('a', 'b', ['/.*/']), flow('b', 'a', ['/.*/'])]],
  ])('they are accepted: %s', (_case, flows) => {
    expect(problems(flows)).toEqual([])
  })

  test('an exclusion that leaves some of the topics is no proof', () => {
    const flows = [
      flow('a', 'b', ['/.*/'], { ...identity, exclude: ['/eu\\.\\.*/'] }),
      flow('b', 'a', ['/eu\\.orders.*/'], identity),
    ]
    expect(problems(flows)).toHaveLength(1)
  })
})
