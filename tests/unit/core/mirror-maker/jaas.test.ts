import { describe, expect, test } from 'vitest'
import { parseJaas } from '../../../../lib/core/mirror-maker/jaas.ts'

const optionsOf = (text: string) => Object.fromEntries(parseJaas(text)?.options ?? [])

describe('sasl.jaas.config', () => {
  test.each<[string, Record<string, string>]>([
    ['m.Scram required username="u" password="p";', { username: 'u', password: 'p' }],
    [
      ' m.Plain  REQUIRED\n username="u"\n password=\'p q\' ;\n',
      { username: 'u', password: 'p q' },
    ],
    ['m.X required a=b c=true;', { a: 'b', c: 'true' }],
    ['m.X required password="a\\"b;c=d\\\\e" user="x";', { password: 'a"b;c=d\\e', user: 'x' }],
    ['m.X required password="" user=";";', { password: '', user: ';' }],
    ['m.X optional;', {}],
    ['m.X required a="1"; m.Y required a="2";', { a: '1' }],
    ['// a comment\nm.X required a="1";', { a: '1' }],
  ])('%s', (text, options) => {
    expect(optionsOf(text)).toEqual(options)
  })

  test.each([
    '',
    'm.X',
    'm.X required',
    'm.X maybe a=b;',
    'm.X required a;',
    'm.X required a="b',
    'm.X required a= ;',
  ])('is refused: %s', text => {
    expect(parseJaas(text)).toBeNull()
  })
})
