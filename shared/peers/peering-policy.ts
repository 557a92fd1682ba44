/** What nodes that ask to be peers may have (AUTO_PEERING_*). Amounts are in units of the peer's asset. */
export interface PeeringPolicy {
  /** What one peer may send before it pays. */
  creditPerPeer: bigint
  /** What all of them may, in one asset. */
  creditTotal: bigint
  /** Credit waits for the operator's word. */
  needsApproval: boolean
  /** Peers that nobody has approved. */
  unapprovedPeersMax: number
}

/** Never more than what is left of the total; `undefined`: none. */
export function creditFor(policy: PeeringPolicy, grantedInAll: bigint): bigint | undefined {
  const left = policy.creditTotal - grantedInAll
  const credit = policy.creditPerPeer < left ? policy.creditPerPeer : left
  return credit > 0n ? credit : undefined
}

/** From a deployable's variables. */
export const toPeeringPolicy = (config: {
  autoPeeringCredit: number
  autoPeeringCreditTotal: number
  autoPeeringApproval: boolean
  autoPeeringPeersMax: number
}): PeeringPolicy => ({
  creditPerPeer: BigInt(config.autoPeeringCredit),
  creditTotal: BigInt(config.autoPeeringCreditTotal),
  needsApproval: config.autoPeeringApproval,
  unapprovedPeersMax: config.autoPeeringPeersMax,
})
