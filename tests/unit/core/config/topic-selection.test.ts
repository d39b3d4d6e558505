import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { patternCharactersMax } from '../../../../lib/core/config/defaults.ts'
import {
  isLeftOut,
  namedTopics,
  parseSelector,
  type Selector,
  selects,
  type TopicRules,
  targetTopicName,
} from '../../../../lib/core/config/topic-selection.ts'

function selectors(texts: readonly string[]): Selector[] {
  return texts.map(text => {
    const selector = parseSelector(text)
    if (selector === null) throw new Error(`no selector: ${text}`)
    return selector
  })
}

function rules(
  topics: readonly string[],
  more: Partial<Omit<TopicRules, 'topics'>> = {},
): TopicRules {
  return {
    from: 'primary',
    to: 'standby',
    exclude: [],
    naming: 'prefix',
    ...more,
    topics: selectors(topics),
  }
}

describe('a selector', () => {
  test('a selector that is a name matches the topic of this name only', () => {
    expect(selects(rules(['orders']), 'orders')).toBe(true)
    expect(selects(rules(['orders']), 'orders.eu')).toBe(false)
    expect(selects(rules(['orders.eu']), 'orders-eu')).toBe(false)
  })

  test('a selector that is a pattern matches whole names, with each of its alternatives', () => {
    expect(selects(rules(['/orders/']), 'orders')).toBe(true)
    expect(selects(rules(['/orders/']), 'my-orders')).toBe(false)
    expect(selects(rules(['/orders/']), 'orders-old')).toBe(false)
    expect(selects(rules(['/orders|payments/']), 'orders-old')).toBe(false)
    expect(selects(rules(['/orders|payments/']), 'old-payments')).toBe(false)
    expect(selects(rules(['/orders\\..*/']), 'orders.eu')).toBe(true)
  })

  test.each(['/', '//', '/orders', '/[/', '/(/'])(
    '%s is neither a topic name nor a pattern, and is refused',
    text => {
      expect(parseSelector(text)).toBeNull()
    },
  )

  test('exclude wins over topics, by name and by pattern', () => {
    const flow = rules(['/.*/'], { exclude: selectors(['secrets', '/.*\\.tmp/']) })
    expect(selects(flow, 'orders')).toBe(true)
    expect(selects(flow, 'secrets')).toBe(false)
    expect(selects(flow, 'orders.tmp')).toBe(false)
  })
})

describe("Kafka's internal topics", () => {
  test("a pattern never matches Kafka's internal topics", () => {
    expect(selects(rules(['/.*/']), '__consumer_offsets')).toBe(false)
    expect(selects(rules(['/__.*/']), '__transaction_state')).toBe(false)
  })

  test('a topic with the prefix of internal topics is replicated when the flow names it', () => {
    expect(selects(rules(['__my_own']), '__my_own')).toBe(true)
  })
})

describe('an echo', () => {
  test('a topic that the other direction copied is not copied back: its prefix shows where it came from', () => {
    const back = rules(['/.*/'], { from: 'standby', to: 'primary' })
    expect(selects(back, 'primary.orders')).toBe(false)
    expect(selects(back, 'orders')).toBe(true)
  })

  test('a topic that the flow names is copied whatever its prefix is', () => {
    const back = rules(['primary.orders', 'standby.users'], { from: 'standby', to: 'primary' })
    expect(selects(back, 'primary.orders')).toBe(true)
    expect(selects(back, 'standby.users')).toBe(true)
    expect(isLeftOut(back, 'primary.orders')).toBe(false)
  })

  test.each(['a.orders', 'b.a.orders', 'x.b.orders', 'c.b.a.orders', 'orders.a.v1'])(
    'a pattern passes over %s, which has the prefix of a cluster of the configuration, and the flow can say so',
    topic => {
      const flow = rules(['/.*/'], { from: 'b', to: 'c', clusters: ['a', 'b', 'c'] })
      expect(selects(flow, topic)).toBe(false)
      expect(isLeftOut(flow, topic)).toBe(true)
    },
  )

  test('only the rule about copies makes a topic left out: others are not selected at all', () => {
    const flow = rules(['/a\\..*/', 'named'], { exclude: selectors(['a.secret']), clusters: ['a'] })
    const topics = ['a.orders', 'a.secret', 'b.orders', 'orders', 'named', '__a.b']
    expect(topics.filter(each => isLeftOut(flow, each))).toEqual(['a.orders'])
  })

  test('however many clusters stand in a ring, a topic reaches each of them at most once', () => {
    const name = fc.constantFrom<string[]>('a', 'b', 'c', 'd.e', 'd')
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 2 }), clusters => {
        const held = new Map(clusters.map(each => [each, new Set<string>()]))
        held.get(clusters[0] ?? '')?.add('orders')
        let copies = 0
        for (let round = 0; round < 20; round += 1) {
          clusters.forEach((from, index) => {
            const to = clusters[(index + 1) % clusters.length] ?? ''
            const flow = rules(['/.*/'], { from, to, clusters })
            for (const topic of held.get(from) ?? []) {
              if (!selects(flow, topic)) continue
              const target = targetTopicName(flow, topic)
              copies += held.get(to)?.has(target) ? 0 : 1
              held.get(to)?.add(target)
            }
          })
        }
        expect(copies).toBeLessThanOrEqual(clusters.length)
      }),
    )
  })

  test('naming identity cannot tell a copied topic by its name', () => {
    const back = rules(['/.*/'], { from: 'standby', to: 'primary', naming: 'identity' })
    expect(selects(back, 'primary.orders')).toBe(true)
  })

  test('a topic whose name only begins like the prefix is no copied topic', () => {
    const back = rules(['/.*/'], { from: 'standby', to: 'primary' })
    expect(selects(back, 'primaryorders')).toBe(true)
  })
})

describe('the name on the target', () => {
  test('the name on the target has the source as prefix, or stays the same with identity', () => {
    expect(targetTopicName(rules(['orders']), 'orders')).toBe('primary.orders')
    expect(targetTopicName(rules(['orders'], { naming: 'identity' }), 'orders')).toBe('orders')
  })
})

test('the topics that a flow names are listed, its patterns are not', () => {
  expect(namedTopics(rules(['orders', '/payments.*/', 'users']))).toEqual(['orders', 'users'])
})

describe('a pattern', () => {
  const longest = 'a'.repeat(249)
  test.each([
    ['/(a+)+/', `${longest.slice(1)}!`],
    ['/(a|a)*b/', longest],
    ['/(a|aa)+!/', longest],
    ['/([a-z]+)*[0-9]/', longest],
    ['/(.*)*(.*)*x/', longest],
    ['/(x+x+)+y/', 'x'.repeat(249)],
    ['/(?:a?){200}a{249}b/', longest],
  ])('%s, which backtracks exponentially elsewhere, is decided', (pattern, topic) => {
    expect(selects(rules([pattern]), topic)).toBe(false)
  })

  test.each(['/(?!eu).*/', '/(?=eu).*/', '/(?<!a)b/', '/(a)\\1/', '/(?<x>a)\\k<x>/'])(
    '%s cannot be matched in linear time, and is refused',
    pattern => {
      expect(parseSelector(pattern)).toBeNull()
    },
  )

  test('a pattern that compiles to more steps than its bound is refused', () => {
    expect(parseSelector('/(.*){1,1000}/')).toBeNull()
    expect(parseSelector(`/${'a'.repeat(1_001)}/`)).toBeNull()
    expect(parseSelector('/[a-zA-Z0-9._-]{1,249}/')).not.toBeNull()
  })

  test('a pattern of more characters than its bound is refused, however few steps it has', () => {
    expect(parseSelector(`/[${'a'.repeat(patternCharactersMax)}]/`)).toBeNull()
    expect(parseSelector(`/[${'a'.repeat(patternCharactersMax - 2)}]/`)).not.toBeNull()
  })

  test('patterns of MirrorMaker and of Kafka tools mean what they mean in Node', () => {
    const patterns = [
      '^orders\\..*',
      'a\\-b',
      'a_b',
      'x|y.z',
      '[a-c]+\\d{2,3}',
      '(eu|us)\\.[^.]+',
      '.*',
    ]
    const topic = fc.oneof(
      fc.stringMatching(/^[a-z.-][a-z._-]{0,5}$/),
      fc.constantFrom('orders.eu', 'a-b', 'a_b', 'x', 'yaz', 'abc12', 'abc1234', 'us.x', 'us.x.y'),
    )
    fc.assert(
      fc.property(fc.constantFrom(...patterns), topic, (pattern, name) => {
        expect(selects(rules([`/${pattern}/`], { clusters: [] }), name)).toBe(
          new RegExp(`^(?:${pattern})$`).test(name),
        )
      }),
      { numRuns: 500 },
    )
  })
})
