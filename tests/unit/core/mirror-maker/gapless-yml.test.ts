import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { renderYml } from '../../../../lib/core/mirror-maker/gapless-yml.ts'

const render = (document: Record<string, unknown>, comments = new Map<string, string[]>()) =>
  renderYml(document, { head: ['Made by a test.'], comments })

test('any text, list and object is read again as it was written', () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom('off', 'true', '1', '~', 'a: b', "it's", '\\.x"', '/a#b/', '- x', 'ä', ''),
  )
  const flat = fc.oneof(text, fc.boolean(), fc.array(text, { maxLength: 12 }))
  const key = fc.stringMatching(/^[a-zA-Z0-9._-]{1,12}$/).filter(each => each !== '__proto__')
  const cluster = fc.dictionary(key, fc.oneof(flat, fc.dictionary(key, flat, { minKeys: 1 })), {
    minKeys: 1,
  })
  const document = fc.record({
    clusters: fc.dictionary(key, cluster, { minKeys: 1 }),
    flows: fc.array(cluster, { minLength: 1, maxLength: 3 }),
  })
  fc.assert(
    fc.property(document, value => {
      expect(parse(render(value))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
    { numRuns: 100 },
  )
})

test('a comment stands above its key, as wide as the page', () => {
  const comments = new Map([['flows.0.groups', [`${'word '.repeat(30)}end`]]])
  const text = render({ flows: [{ name: 'a', groups: [] }] }, comments)
  const lines = text.split('\n')
  expect(lines.slice(0, 3)).toEqual(['# Made by a test.', 'flows:', '  - name: a'])
  expect(lines[3]).toMatch(/^ {4}# word word/)
  expect(lines.at(-2)).toBe('    groups: []')
  expect(Math.max(...lines.map(line => line.length))).toBeLessThanOrEqual(100)
})
