// Owns notifying operators of incidents: every state of every incident at least once. A
// notification that was published but could not be marked is published again by the next tick; one
// that could not be published fails the tick.

import { notificationsMax, notifiedIncidentsMax } from '../../core/config/defaults.ts'
import { notificationOf } from '../../core/monitoring/notification.ts'
import type { Notify } from '../../io/alert-topic.ts'
import type { NotificationStore } from '../../io/table/notification-store.ts'

/** Returns how many incidents were notified. Rejects when a notification could not be published. */
export async function notifyIncidents(
  { notifications, notify }: { notifications: NotificationStore; notify: Notify },
  about: { readonly stage: string; readonly flow: string },
): Promise<number> {
  const untold = await notifications.listUntold(about.flow)
  const told = untold.slice(0, notificationsMax * notifiedIncidentsMax)
  for (let from = 0; from < told.length; from += notifiedIncidentsMax) {
    const some = told.slice(from, from + notifiedIncidentsMax)
    await notify(notificationOf(about, some))
    for (const incident of some) await notifications.markTold(incident)
  }
  return told.length
}
