import { hash, randomBytes } from 'node:crypto'
import { deserializeIlpReply, serializeIlpPrepare } from 'ilp-packet'
import type { Clock, Db, HttpClient, Logger, SecretBox } from '../platform/index.ts'
import { type PeeringProof, selectOpenProofs, takeProof } from './accepted-store.ts'
import { PeerRefusal } from './errors.ts'
import { loweredTo } from './peering-rules.ts'
import { getPeer, updatePeer } from './peers.ts'

type Context = { db: Db; secretBox: SecretBox; clock: Clock; guardedHttp: HttpClient; log: Logger }

const TIMEOUT_MS = 5_000
const PROOFS_MAX = 20

/** A question that moves nothing (RFC 31). Whoever knows the token is answered, with a Fulfill or a Reject. */
const question = (now: Date): Buffer =>
  serializeIlpPrepare({
    amount: '0',
    destination: 'peer.config',
    executionCondition: hash('sha256', Buffer.alloc(32), 'buffer'),
    expiresAt: new Date(now.getTime() + TIMEOUT_MS),
    data: Buffer.alloc(0),
  })

async function accepts(ctx: Context, endpoint: string, token: string): Promise<boolean> {
  try {
    const { status, body } = await ctx.guardedHttp.request({
      method: 'POST',
      url: endpoint,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' },
      body: question(ctx.clock.now()),
      timeoutMs: TIMEOUT_MS,
    })
    if (status !== 200) return false
    deserializeIlpReply(body)
    return true
  } catch {
    // Not reached, too late, too much, or no ILP packet: whatever it is, it proves nothing.
    return false
  }
}

/**
 * The endpoint of a peer accepts the token that only the asker was told: so the asker has told it, and speaks for the peer. One
 * that takes any token proves nothing.
 */
const isProven = async (ctx: Context, { endpoint, outgoingToken }: PeeringProof): Promise<boolean> =>
  (await accepts(ctx, endpoint, outgoingToken)) &&
  !(await accepts(ctx, endpoint, randomBytes(32).toString('base64url')))

async function adopt(ctx: Context, proof: PeeringProof): Promise<void> {
  const { id, peerId, endpoint, incomingToken, outgoingToken, name, maxPacketAmount } = proof
  await ctx.db.tx(async (db) => {
    if (!(await takeProof(db, id))) return
    const known = await getPeer({ ...ctx, db }, 'all', peerId)
    await updatePeer({ ...ctx, db }, 'all', {
      id: peerId,
      outgoing: { endpoint, authToken: outgoingToken },
      incoming: { authTokens: [incomingToken] },
      peeringUrl: endpoint,
      ...(name !== undefined && { name }),
      ...loweredTo(known.maxPacketAmount, maxPacketAmount),
    })
  })
}

/** Looks once at all new tokens that wait for their proof. Says how many still do. */
export async function proveEndpoints(ctx: Context): Promise<number> {
  const proofs = await selectOpenProofs(ctx, ctx.clock.now(), PROOFS_MAX)
  const proven = await Promise.all(
    proofs.map(async (proof) => {
      if (!(await isProven(ctx, proof))) return false
      try {
        await adopt(ctx, proof)
        ctx.log.info({ peerId: proof.peerId }, 'a peer has new tokens: its endpoint knows them')
      } catch (error) {
        if (!(error instanceof PeerRefusal)) throw error
        ctx.log.warn({ peerId: proof.peerId, code: error.code }, 'new tokens of a peer cannot be used')
        await takeProof(ctx.db, proof.id)
      }
      return true
    }),
  )
  return proven.filter((isDone) => !isDone).length
}
