import { expect, test } from 'vitest'
import { drillAttributes, drillKey, readDrill } from '../../../../lib/core/row/drill-row.ts'

const drill = {
  ...{ drill: 'gapless-drill-1', flow: 'orders', source: 'primary', standby: 'standby' },
  ...{ topic: '__gapless-drill-1', targetTopic: 'primary.__gapless-drill-1' },
  ...{ by: 'anna@host/1', startedAtMs: 1, aliveUntilMs: 2 },
}

test('a drill reads back from the row that it is written to', () => {
  const row = { ...drillKey(drill.drill), ...drillAttributes(drill) }
  expect(readDrill(row)).toEqual(drill)
})

test('a row in another form names the row and the attribute', () => {
  const row = { ...drillKey(drill.drill), ...drillAttributes(drill), topic: { N: '1' } }
  expect(() => readDrill(row)).toThrow(/"drill\/gapless-drill-1": attribute topic is/)
})
