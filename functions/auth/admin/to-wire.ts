import { InvalidAmount, parseAmount, toWireAmount } from '../../../shared/money/index.ts'
import { deriveId, isObject } from '../../../shared/platform/index.ts'
import type { AccessItem } from '../access/index.ts'
import type { AdminGrant } from './store.ts'

const toText = (value: unknown) => (typeof value === 'string' ? value : undefined)

/** Limits are kept as they were sent: what is no amount is left out, so that it hides nothing else of the grant. */
function toAmount(value: unknown) {
  if (!isObject(value)) return undefined
  try {
    const { value: units, assetCode, assetScale } = value
    return toWireAmount(parseAmount({ value: units, assetCode, assetScale }))
  } catch (error) {
    if (error instanceof InvalidAmount) return undefined
    throw error
  }
}

const toLimits = ({ receiver, interval, debitAmount, receiveAmount }: Readonly<Record<string, unknown>>) => ({
  receiver: toText(receiver),
  interval: toText(interval),
  debitAmount: toAmount(debitAmount),
  receiveAmount: toAmount(receiveAmount),
})

/** A part of a grant has no id and time of its own: it is as old as its grant, and never changes. */
const partOf = (grant: AdminGrant, kind: 'access' | 'subject', position: number) => ({
  id: deriveId(`grant-${kind}`, grant.id, position),
  createdAt: grant.createdAt.toISOString(),
})

const toAccess = (grant: AdminGrant, item: AccessItem, position: number) => ({
  ...partOf(grant, 'access', position),
  type: item.type,
  actions: item.actions,
  identifier: item.identifier,
  limits: item.limits && toLimits(item.limits),
})

function toSubject(grant: AdminGrant) {
  if (grant.subjectIds.length === 0) return undefined
  return {
    sub_ids: grant.subjectIds.map(({ id, format }, position) => ({
      ...partOf(grant, 'subject', position),
      subId: id,
      subIdFormat: format,
    })),
  }
}

/** A grant as the schema has it. */
export const toWireGrant = (grant: AdminGrant) => ({
  id: grant.id,
  tenantId: grant.tenantId,
  client: grant.client,
  state: grant.state,
  finalizationReason: grant.finalizationReason,
  access: grant.access.map((item, position) => toAccess(grant, item, position)),
  subject: toSubject(grant),
  createdAt: grant.createdAt.toISOString(),
})
