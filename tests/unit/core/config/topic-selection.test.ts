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

  test('a copied topic is not copied back also when the flow names it', () => {
    const back = rules(['primary.orders'], { from: 'standby', to: 'primary' })
    expect(selects(back, 'primary.orders')).toBe(false)
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
