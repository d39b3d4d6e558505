import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { matches, parseSelector } from '../../../../lib/core/config/topic-selection.ts'
import { exclusionsOf, selectorsOf } from '../../../../lib/core/mirror-maker/selectors.ts'

const translate = (value: string) => selectorsOf({ name: 'topics', value, origin: 'f:1' })

/** As MirrorUtils.compilePatternList and DefaultTopicFilter of MirrorMaker 2 do it. */
function mirrorSelects(value: string, topic: string): boolean {
  const fields = value.trim().split(/\s*,\s*/)
  return new RegExp(`^(?:${fields.join('|')})$`).test(topic)
}

function gaplessSelects(value: string, topic: string): boolean {
  const { include, exclude } = translate(value)
  const isIn = (texts: readonly string[]) =>
    texts.some(text => {
      const selector = parseSelector(text)
      return selector !== null && matches(selector, topic)
    })
  return isIn(include) && !isIn(exclude)
}

describe('lists of names and regular expressions', () => {
  test.each([
    ['orders', ['orders']],
    ['orders, payments\\.v2,a_b-c', ['orders', 'payments.v2', 'a_b-c']],
    ['.*', ['/.*/']],
    ['orders.v1', ['/orders.v1/']],
    ['a|b|c\\.d', ['a', 'b', 'c.d']],
    ['(a|b)', ['a', 'b']],
    ['a|b.*', ['/a|b.*/']],
    // Kafka splits at the comma first, and joins with | behind it.
    ['(a,b)', ['/(a|b)/']],
  ])('%s', (value, include) => {
    expect(translate(value)).toEqual({ include, exclude: [] })
  })

  test('a negative look-ahead in front of a single pattern becomes an exclusion', () => {
    expect(translate('^(?!tmp-|test(?:ing)?\\.).*')).toEqual({
      include: ['/.*/'],
      exclude: ['/(?:tmp-|test(?:ing)?\\.).*/'],
    })
  })

  test('one with an alternative behind it is refused: it is about the first alternative alone', () => {
    expect(() => translate('(?!a)b|c')).toThrow('without look-around')
  })

  test('one in a list of exclusions is refused: nothing would be copied without it', () => {
    const property = { name: 'topics.exclude', value: '(?!keep-).*', origin: 'f:1' }
    expect(() => exclusionsOf(property)).toThrow('without look-around')
  })

  test('the same topics are selected as in MirrorMaker 2', () => {
    const part = fc.constantFrom(
      'a',
      'b',
      '-',
      '\\.',
      '.',
      '.*',
      '[ab]',
      'a|b',
      '(a|-)',
      'a+',
      'b?',
    )
    const element = fc.array(part, { minLength: 1, maxLength: 4 }).map(parts => parts.join(''))
    const ahead = fc
      .tuple(fc.constantFrom('a', 'a|b', 'ab$', '-.'), element)
      .map(([no, rest]) => `(?!${no})${rest.replaceAll('|', '')}`)
    const list = fc.oneof(
      fc.array(element, { minLength: 1, maxLength: 3 }).map(each => each.join(' , ')),
      ahead,
    )
    const topic = fc
      .array(fc.constantFrom('a', 'b', '-', '.'), { minLength: 1, maxLength: 4 })
      .map(each => each.join(''))
    fc.assert(
      fc.property(list, topic, (value, name) => {
        expect(gaplessSelects(value, name)).toBe(mirrorSelects(value, name))
      }),
      { numRuns: 2_000 },
    )
  })
})
