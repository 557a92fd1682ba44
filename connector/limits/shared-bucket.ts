import type { Redis } from '../../shared/platform/index.ts'
import type { Limit } from './model.ts'

/** The buckets that all connectors of a node share, and how many those are. */
export interface SharedBuckets {
  /** Takes `want`, or what is there if that is at least `need`; else nothing, and says when it would be. */
  take(
    key: string,
    limit: Limit,
    ask: { need: number; want: number },
  ): Promise<{ granted: number; waitMs: number }>
  giveBack(key: string, limit: Limit, quantity: number): Promise<void>
  /** Says that `member` lives; answers how many do. */
  countMembers(member: string): Promise<number>
  leave(member: string): Promise<void>
}

/** By Redis' own clock, so that connectors need not agree on theirs. A negative want gives back. */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local capacity, period = tonumber(ARGV[1]), tonumber(ARGV[2])
local need, want = tonumber(ARGV[3]), tonumber(ARGV[4])
local known = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(known[1]) or capacity, tonumber(known[2]) or now
tokens = math.min(capacity, tokens + math.max(0, now - at) * capacity / period)
local granted, wait = 0, 0
if want < 0 then
  tokens = math.min(capacity, tokens - want)
elseif tokens >= need then
  granted = math.min(want, math.floor(tokens))
  tokens = tokens - granted
else
  wait = math.ceil((need - tokens) * period / capacity)
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], period + 1000)
return {string.format('%.0f', granted), string.format('%.0f', wait)}`

const COUNT = `
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time[1] - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])`

const MEMBER_LIFE_SECONDS = 10

export function createRedisBuckets(redis: Redis, nodeId: string): SharedBuckets {
  const members = `upesi:connectors:${nodeId}`
  const evaluate = (key: string, { capacity, periodMs }: Limit, need: number, want: number) =>
    redis.eval(TAKE, 1, `upesi:limit:${key}`, capacity, periodMs, need, want)
  return {
    async take(key, limit, { need, want }) {
      const [granted, waitMs] = (await evaluate(key, limit, need, want)) as [string, string]
      return { granted: Number(granted), waitMs: Number(waitMs) }
    },
    async giveBack(key, limit, quantity) {
      await evaluate(key, limit, 0, -quantity)
    },
    countMembers: async (member) => Number(await redis.eval(COUNT, 1, members, member, MEMBER_LIFE_SECONDS)),
    async leave(member) {
      await redis.zrem(members, member)
    },
  }
}
