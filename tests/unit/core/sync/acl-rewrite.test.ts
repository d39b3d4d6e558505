// What becomes of the ACLs of the source on the standby: nobody gets a right to a copy that he has
// not to the original, and nobody gets the right to write.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Acl, type AclEntry, aclText } from '../../../../lib/core/acl.ts'
import { type TopicRules, targetTopicName } from '../../../../lib/core/config/topic-selection.ts'
import { planAcls, withheldFor } from '../../../../lib/core/sync/acl-plan.ts'
import { followingAcls } from '../../../../lib/core/sync/acl-rewrite.ts'
import { flowOf } from '../../../support/worlds/parsed-flow.ts'

const entry: AclEntry = { permission: 'ALLOW', operation: 'READ', principal: 'User:app', host: '*' }
const on = (name: string, fields: Partial<Acl> = {}): Acl => ({
  ...entry,
  pattern: 'LITERAL',
  name,
  ...fields,
})
const prefixed = (name: string, fields: Partial<Acl> = {}) =>
  on(name, { pattern: 'PREFIXED', ...fields })

function follow(acls: readonly Acl[], flow: Record<string, unknown>, topics: readonly string[]) {
  const rules = flowOf(flow)
  return followingAcls(acls, { rules, topics, ownPrincipal: 'User:gapless' })
}

const texts = (acls: readonly Acl[]) => acls.map(aclText)

describe('with naming prefix', () => {
  const flow = { topics: ['orders', '/pay.*/'] }
  const topics = ['orders', 'payments']

  test('an ACL of a topic becomes one of its copy, and one of another topic nothing', () => {
    expect(texts(follow([on('orders'), on('other')], flow, topics).copied)).toEqual([
      'ALLOW READ for User:app from * on topic primary.orders',
    ])
  })

  test('a prefix becomes the prefix of the copies, and the wildcard becomes all copies from this source', () => {
    const acls = [prefixed('pa'), on('*', { principal: 'User:audit' }), prefixed('zzz')]
    expect(texts(follow(acls, flow, topics).copied)).toEqual([
      'ALLOW READ for User:audit from * on topics with prefix primary.',
      'ALLOW READ for User:app from * on topics with prefix primary.pa',
    ])
  })

  test('a prefix that would cover the copies of another cluster is left and named', () => {
    const rules = { ...flowOf(flow), clusters: ['primary', 'primary.eu', 'standby'] }
    const context = { rules, topics, ownPrincipal: null }
    const { copied, left } = followingAcls([on('*')], context)
    expect(copied).toEqual([])
    expect(left[0]?.reason).toContain('copies of cluster primary.eu')
  })
})

describe('with naming identity', () => {
  const topics = ['orders', 'orders-eu', 'payments']

  test('a prefix that the flow selects whole stays a prefix; otherwise each topic gets the ACL', () => {
    const whole = { naming: 'identity', topics: ['/orders.*/'] }
    expect(texts(follow([prefixed('orders-')], whole, topics).copied)).toEqual([
      'ALLOW READ for User:app from * on topics with prefix orders-',
    ])
    const some = { naming: 'identity', topics: ['/orders.*/'], exclude: ['orders-eu'] }
    expect(texts(follow([prefixed('ord')], some, ['orders']).copied)).toEqual([
      'ALLOW READ for User:app from * on topic orders',
    ])
  })

  test('the wildcard is left and named: on the standby it would cover topics that are no copies', () => {
    const { copied, left } = follow([on('*')], { naming: 'identity', topics: ['/.*/'] }, topics)
    expect([copied, left.map(each => each.reason)]).toEqual([
      [],
      ['on the standby it would cover topics that are no copies'],
    ])
  })
})

test('the right to write is withheld, and ALL becomes its other operations', () => {
  const acls = [on('orders', { operation: 'ALL' }), on('orders', { operation: 'WRITE', host: 'h' })]
  const { copied, withheld } = follow(acls, { topics: ['orders'] }, ['orders'])
  expect(copied.map(each => each.operation).sort()).toEqual(
    ['READ', 'CREATE', 'DELETE', 'ALTER', 'DESCRIBE', 'DESCRIBE_CONFIGS', 'ALTER_CONFIGS'].sort(),
  )
  expect(withheld.map(each => [each.operation, each.host])).toEqual([
    ['WRITE', '*'],
    ['WRITE', 'h'],
  ])
})

test('a denial is copied for a principal that is not ours, and otherwise left; of writing it is withheld', () => {
  const deny = { permission: 'DENY' } as const
  const acls = [
    on('orders', { ...deny, principal: 'User:eve' }),
    on('orders', { ...deny, principal: 'User:*' }),
    on('orders', { ...deny, principal: 'User:gapless' }),
    on('orders', { ...deny, principal: 'User:eve', operation: 'WRITE' }),
  ]
  const known = follow(acls, { topics: ['orders'] }, ['orders'])
  expect(known.copied.map(each => each.principal)).toEqual(['User:eve'])
  expect(known.left.map(each => each.acl.principal)).toEqual(['User:*', 'User:gapless'])
  expect(known.withheld).toMatchObject([{ operation: 'WRITE', permission: 'DENY' }])
  const rules = flowOf({ topics: ['orders'] })
  const unknown = followingAcls(acls, { rules, topics: ['orders'], ownPrincipal: null })
  expect(unknown.copied).toEqual([])
  expect(unknown.left).toHaveLength(3)
})

const names = ['a', 'ab', 'abc', 'b', 'ba', 'standby.a']
const name = fc.constantFrom(...names)
const drawnAcl = fc.record({
  pattern: fc.constantFrom('LITERAL' as const, 'PREFIXED' as const),
  name: fc.oneof(name, fc.constant('*')),
  permission: fc.constantFrom('ALLOW' as const, 'DENY' as const),
  operation: fc.constantFrom('READ' as const, 'WRITE' as const, 'DELETE' as const, 'ALL' as const),
  principal: fc.constantFrom('User:app', 'User:gapless', 'User:*'),
  host: fc.constantFrom('*', 'h'),
})
const drawnFlow = fc.record({
  naming: fc.constantFrom('prefix', 'identity'),
  topics: fc.uniqueArray(fc.constantFrom('a', 'b', '/a.*/', '/ab.*/', '/.*/'), { minLength: 1 }),
  exclude: fc.uniqueArray(fc.constantFrom('ab', '/b.*/')),
})

function covers({ pattern, name: named }: Acl, topic: string): boolean {
  if (pattern === 'PREFIXED') return topic.startsWith(named)
  return named === '*' || named === topic
}

/** True when an ACL of the list is about this topic, and says the same. */
function says(acls: readonly Acl[], acl: Acl, topic: string): boolean {
  return acls.some(
    each =>
      covers(each, topic) &&
      each.permission === acl.permission &&
      each.principal === acl.principal &&
      each.host === acl.host &&
      (each.operation === acl.operation || each.operation === 'ALL'),
  )
}

/** The topics that exist on the standby: copies of selected ones, and those of applications. */
function standbyTopics(rules: TopicRules, selected: readonly string[]) {
  const copies = selected.map(topic => [targetTopicName(rules, topic), topic] as const)
  const isCopied = (each: string) => copies.some(([copy]) => copy === each)
  // With identity an application of the standby may have a topic with a name that is not selected.
  const sameNames = rules.naming === 'identity' ? names.filter(each => !isCopied(each)) : []
  return { copies, others: ['other', 'standby.own', 'zebra', ...sameNames] }
}

test('an ACL on the standby says of each copy what one on the source says of the original, and of no other topic anything', () => {
  fc.assert(
    fc.property(fc.array(drawnAcl), drawnFlow, (acls, fields) => {
      const rules = flowOf(fields)
      const selected = names.filter(each => selectsOf(fields, each))
      const context = { rules, topics: selected, ownPrincipal: 'User:gapless' }
      const { copied, withheld, left } = followingAcls(acls, context)
      const { copies, others } = standbyTopics(rules, selected)
      for (const acl of [...copied, ...withheld]) {
        for (const [copy, topic] of copies) {
          if (covers(acl, copy)) expect(says(acls, acl, topic)).toBe(true)
        }
        expect(others.filter(each => covers(acl, each))).toEqual([])
      }
      expect(copied.filter(each => ['WRITE', 'ALL'].includes(each.operation))).toEqual([])
      // A denial of ours would stop the replication.
      const ours = (each: Acl) => each.principal !== 'User:app' && each.permission === 'DENY'
      expect(copied.filter(ours)).toEqual([])
      const isLeft = (acl: Acl) => left.some(each => each.acl === acl)
      for (const acl of acls.filter(each => each.operation !== 'ALL' && !isLeft(each))) {
        for (const [copy, topic] of copies) {
          if (covers(acl, topic)) expect(says([...copied, ...withheld], acl, copy)).toBe(true)
        }
      }
    }),
    { numRuns: 300 },
  )
})

function selectsOf(fields: { topics: string[]; exclude: string[]; naming: string }, topic: string) {
  const matches = (selector: string) =>
    selector.startsWith('/')
      ? new RegExp(`^(?:${selector.slice(1, -1)})$`).test(topic)
      : selector === topic
  if (fields.exclude.some(matches)) return false
  if (fields.topics.includes(topic)) return true
  return fields.topics.some(matches) && !(fields.naming === 'prefix' && topic.includes('standby.'))
}

test('what was created is removed once it is not wanted, what others made never, and in doubt nothing', () => {
  fc.assert(
    fc.property(
      fc.array(drawnAcl),
      fc.array(drawnAcl),
      fc.array(drawnAcl),
      (wanted, ours, others) => {
        const present = [...ours, ...others]
        const { create, remove } = planAcls({ wanted, present, ours, mayRemove: true })
        const keys = (acls: readonly Acl[]) => new Set(acls.map(aclText))
        for (const each of remove) {
          expect(keys(ours).has(aclText(each))).toBe(true)
          expect(keys(wanted).has(aclText(each))).toBe(false)
        }
        expect(create.filter(each => keys(present).has(aclText(each)))).toEqual([])
        const doubtful = planAcls({ wanted, present, ours, mayRemove: false })
        expect([doubtful.remove, doubtful.forget]).toEqual([[], []])
      },
    ),
  )
})

test('what is granted in a fail-over is about the topics that fail over, and about no other', () => {
  const rules = flowOf({ topics: ['/.*/'] })
  const withheld = [
    prefixed('primary.', { operation: 'WRITE' }),
    on('primary.b', { operation: 'WRITE' }),
  ]
  expect(texts(withheldFor(withheld, rules, ['a']))).toEqual([
    'ALLOW WRITE for User:app from * on topic primary.a',
  ])
})
