// Notifications of incidents, at least once each: the order of the steps, and the failure of each.
// tests/integration/stores.test.ts tests the rows in DynamoDB.

import { expect, test } from 'vitest'
import { notificationsMax, notifiedIncidentsMax } from '../../../../lib/core/config/defaults.ts'
import type { Incident } from '../../../../lib/core/incident.ts'
import { type Notification, toldState } from '../../../../lib/core/monitoring/notification.ts'
import type { NotificationStore } from '../../../../lib/io/table/notification-store.ts'
import { notifyIncidents } from '../../../../lib/run/watch/notify.ts'
import { truncation } from '../../../support/contracts/store-examples.ts'

const about = { stage: 'prod', flow: 'primary-to-standby' }

function worldOf(count: number) {
  let incidents = Array.from({ length: count }, (_, index): Incident => {
    return truncation({ id: `incident-${index}`, partition: index })
  })
  const told = new Map<string, string>()
  const sent: Notification[] = []
  const notifications: NotificationStore = {
    listUntold: async () => incidents.filter(each => told.get(each.id) !== toldState(each)),
    markTold: async incident => {
      told.set(incident.id, toldState(incident))
    },
  }
  return {
    sent,
    told,
    notifications,
    change: (change: Partial<Incident>) => {
      incidents = incidents.map(each => ({ ...each, ...change }))
    },
    notify: async (notification: Notification) => {
      sent.push(notification)
    },
  }
}

test('every incident is notified once, several in one notification', async () => {
  const world = worldOf(notifiedIncidentsMax + 1)
  expect(await notifyIncidents(world, about)).toBe(notifiedIncidentsMax + 1)
  expect(await notifyIncidents(world, about)).toBe(0)
  expect(world.sent.map(each => each.subject)).toEqual([
    `gapless prod primary-to-standby: ${notifiedIncidentsMax} incidents, ${notifiedIncidentsMax} open`,
    `gapless prod primary-to-standby: log-truncated commit-log-${notifiedIncidentsMax} open`,
  ])
})

test('an incident that ended or got another range is notified again', async () => {
  const world = worldOf(1)
  await notifyIncidents(world, about)
  world.change({ resolution: 'resumed' })
  expect(await notifyIncidents(world, about)).toBe(1)
  expect(world.sent.at(-1)?.subject).toContain('resumed')
})

test('an incident that changes while its notification is sent is notified again', async () => {
  const world = worldOf(1)
  const notify = async (notification: Notification) => {
    await world.notify(notification)
    if (world.sent.length === 1) world.change({ lostRecordsMax: 9_999n })
  }
  await notifyIncidents({ ...world, notify }, about)
  await notifyIncidents({ ...world, notify }, about)
  expect(world.sent.at(-1)?.text).toContain('lost at most 9999')
})

test('a notification that is refused fails the tick, and is sent by the next one', async () => {
  const world = worldOf(1)
  const notify = () => Promise.reject(new Error('refused'))
  await expect(notifyIncidents({ ...world, notify }, about)).rejects.toThrow('refused')
  expect(await notifyIncidents(world, about)).toBe(1)
})

test('a mark that is lost sends a notification twice, never not at all', async () => {
  const world = worldOf(1)
  const markTold = () => Promise.reject(new Error('throttled'))
  const notifications = { ...world.notifications, markTold }
  await expect(notifyIncidents({ ...world, notifications }, about)).rejects.toThrow('throttled')
  expect(await notifyIncidents(world, about)).toBe(1)
  expect(world.sent).toHaveLength(2)
})

test('one tick sends a limited number of notifications, and the next tick goes on', async () => {
  const world = worldOf(notificationsMax * notifiedIncidentsMax + 3)
  await notifyIncidents(world, about)
  expect(world.sent).toHaveLength(notificationsMax)
  expect(await notifyIncidents(world, about)).toBe(3)
})
