import { describe, expect, test } from 'vitest'
import {
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
  test('that is a name means that topic alone', () => {
    expect(selects(rules(['orders']), 'orders')).toBe(true)
    expect(selects(rules(['orders']), 'orders.eu')).toBe(false)
    expect(selects(rules(['orders.eu']), 'orders-eu')).toBe(false)
  })

  test('that is a pattern means whole names: neither a part of one nor half of an alternative', () => {
    expect(selects(rules(['/orders/']), 'orders')).toBe(true)
    expect(selects(rules(['/orders/']), 'my-orders')).toBe(false)
    expect(selects(rules(['/orders/']), 'orders-old')).toBe(false)
    expect(selects(rules(['/orders|payments/']), 'orders-old')).toBe(false)
    expect(selects(rules(['/orders|payments/']), 'old-payments')).toBe(false)
    expect(selects(rules(['/orders\\..*/']), 'orders.eu')).toBe(true)
  })

  test.each(['/', '//', '/orders', '/[/', '/(/'])('cannot be made from %s', text => {
    expect(parseSelector(text)).toBeNull()
  })

  test('excludes what another one includes, name or pattern', () => {
    const flow = rules(['/.*/'], { exclude: selectors(['secrets', '/.*\\.tmp/']) })
    expect(selects(flow, 'orders')).toBe(true)
    expect(selects(flow, 'secrets')).toBe(false)
    expect(selects(flow, 'orders.tmp')).toBe(false)
  })
})

describe("Kafka's internal topics", () => {
  test('are never meant by a pattern', () => {
    expect(selects(rules(['/.*/']), '__consumer_offsets')).toBe(false)
    expect(selects(rules(['/__.*/']), '__transaction_state')).toBe(false)
  })

  test('are replicated by name, because somebody wrote it', () => {
    expect(selects(rules(['__my_own']), '__my_own')).toBe(true)
  })
})

describe('an echo', () => {
  test('of the other direction never travels back: the prefix says where a topic came from', () => {
    const back = rules(['/.*/'], { from: 'standby', to: 'primary' })
    expect(selects(back, 'primary.orders')).toBe(false)
    expect(selects(back, 'orders')).toBe(true)
  })

  test('is refused also when it is named', () => {
    const back = rules(['primary.orders'], { from: 'standby', to: 'primary' })
    expect(selects(back, 'primary.orders')).toBe(false)
  })

  test('cannot be told by the name where names are kept', () => {
    const back = rules(['/.*/'], { from: 'standby', to: 'primary', naming: 'identity' })
    expect(selects(back, 'primary.orders')).toBe(true)
  })

  test('is not every topic whose name begins alike', () => {
    const back = rules(['/.*/'], { from: 'standby', to: 'primary' })
    expect(selects(back, 'primaryorders')).toBe(true)
  })
})

describe('the name on the target', () => {
  test('has the source in front, or is kept', () => {
    expect(targetTopicName(rules(['orders']), 'orders')).toBe('primary.orders')
    expect(targetTopicName(rules(['orders'], { naming: 'identity' }), 'orders')).toBe('orders')
  })
})

test('the topics a flow lists by name are those an operator expects to exist', () => {
  expect(namedTopics(rules(['orders', '/payments.*/', 'users']))).toEqual(['orders', 'users'])
})
