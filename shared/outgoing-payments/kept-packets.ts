import { type BatchedStatement, type Db, noAnswer, type Row, type SecretBox, sql } from '../platform/index.ts'

/**
 * A packet of a payment that has left for a peer. Who sends keeps it before it leaves; it is forgotten in the statement that records the
 * payment's progress with it (`progress-store`), so what is here does not count yet, and once its connector is gone never would.
 */
export interface KeptPacket {
  /** Also of its first transfer. */
  id: string
  outgoingPaymentId: string
  tenantId: string
  /** The connector. */
  sender: string
  peerId: string
  /** Of the packet on the payer's account, which is not the one that it leaves with. */
  expiresAt: Date
  /** Its bytes, as it leaves. */
  prepare: Buffer
  /** Opens what the receiver says. 32 bytes. */
  answerKey: Buffer
}

export type FoundPacket = Omit<KeptPacket, 'answerKey'> & {
  /** Absent: it was sealed under a key that this node has no more. */
  answerKey?: Buffer
  /** For how long it has been kept, by the database's clock. */
  ageMs: number
}

/** What the key is sealed for: in another packet's row it does not open. */
export const answerKeyPlace = (id: string): string => `kept-packet:${id}:answer-key`

type Sealed = Omit<KeptPacket, 'answerKey'> & { sealedAnswerKey: string }

const keeps: BatchedStatement<Sealed, never> = {
  query: (packets) => sql`
    insert into kept_packets (id, outgoing_payment_id, tenant_id, sender, peer_id, expires_at, prepare, answer_key_sealed)
    select * from unnest(${packets.map(({ id }) => id)}::uuid[], ${packets.map((each) => each.outgoingPaymentId)}::uuid[],
      ${packets.map(({ tenantId }) => tenantId)}::uuid[], ${packets.map(({ sender }) => sender)}::uuid[],
      ${packets.map(({ peerId }) => peerId)}::uuid[], ${packets.map(({ expiresAt }) => expiresAt)}::timestamptz[],
      ${packets.map(({ prepare }) => prepare)}::bytea[], ${packets.map((each) => each.sealedAnswerKey)}::text[])
    on conflict do nothing`,
  map: noAnswer,
}

export async function keepPacket(
  ctx: { db: Db; secretBox: Pick<SecretBox, 'seal'> },
  { answerKey, ...packet }: KeptPacket,
): Promise<void> {
  const sealedAnswerKey = ctx.secretBox.seal(answerKey.toString('base64'), answerKeyPlace(packet.id))
  await ctx.db.batched(keeps, { ...packet, sealedAnswerKey })
}

const presences: BatchedStatement<string, true> = {
  query: (ids) => sql`
    select asked.place from unnest((select ${ids}::uuid[])) with ordinality asked (id, place)
    where exists (select from kept_packets k where k.outgoing_payment_id = asked.id)`,
  map: () => true,
}

/** Of one payment. Mostly none, and then many payments are asked about in one statement. */
export async function findKeptPackets(
  ctx: { db: Db; secretBox: Pick<SecretBox, 'open'> },
  outgoingPaymentId: string,
): Promise<FoundPacket[]> {
  if (!(await hasKeptPackets(ctx.db, outgoingPaymentId))) return []
  return await ctx.db.many(
    (row) => toFoundPacket(ctx, row),
    sql`select id, outgoing_payment_id, tenant_id, sender, peer_id, expires_at, prepare, answer_key_sealed,
          extract(epoch from clock_timestamp() - kept_at)::float8 * 1000 as age_ms from kept_packets
        where outgoing_payment_id = ${outgoingPaymentId} order by expires_at, id`,
  )
}

function toFoundPacket(ctx: { secretBox: Pick<SecretBox, 'open'> }, row: Row): FoundPacket {
  const id = row.id as string
  return {
    id,
    outgoingPaymentId: row.outgoing_payment_id as string,
    tenantId: row.tenant_id as string,
    sender: row.sender as string,
    peerId: row.peer_id as string,
    expiresAt: row.expires_at as Date,
    prepare: row.prepare as Buffer,
    ...openKey(ctx, id, row.answer_key_sealed as string),
    ageMs: row.age_ms as number,
  }
}

/** A key that was taken away too early is no reason to stand still: the ledger's figure is left. */
function openKey(
  ctx: { secretBox: Pick<SecretBox, 'open'> },
  id: string,
  sealed: string,
): Pick<FoundPacket, 'answerKey'> {
  try {
    return { answerKey: Buffer.from(ctx.secretBox.open(sealed, answerKeyPlace(id)), 'base64') }
  } catch {
    return {}
  }
}

/** Whether packets of a payment may be on their way, whoever sent them. */
export const hasKeptPackets = async (db: Db, outgoingPaymentId: string): Promise<boolean> =>
  (await db.batched(presences, outgoingPaymentId)) === true

const KEPT_MS = 86_400_000

/** Drops what belongs to payments that nobody has sent for a day. Returns ids. */
export const sweepKeptPackets = (
  ctx: { db: Db; clock: { fromNow(ms: number): Date } },
  options: { limit: number },
): Promise<string[]> =>
  ctx.db.many(
    (row) => row.id as string,
    sql`delete from kept_packets where id in
          (select id from kept_packets where expires_at < ${ctx.clock.fromNow(-KEPT_MS)} order by expires_at limit ${options.limit})
        returning id`,
  )
