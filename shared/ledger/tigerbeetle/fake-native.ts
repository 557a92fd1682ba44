import { CreateAccountStatus, CreateTransferStatus } from 'tigerbeetle-node'
import type { Native, NativeAccount, NativeClient, NativeTransfer } from './native.ts'

type Batch = readonly NativeTransfer[]

/** TigerBeetle's client as tests want it: its answers are theirs. */
export interface FakeNative extends Native {
  /** Clients that were made, with what they were asked; the last is the one in use. */
  readonly clients: { addresses: string[]; batches: Batch[]; destroyed: boolean }[]
  /** Answers createTransfers. Throw to fail; a promise that never ends is a cluster that is away. */
  answer: (batch: Batch, client: number) => Promise<(keyof typeof CreateTransferStatus | number)[]>
  answerAccounts: (batch: readonly NativeAccount[]) => (keyof typeof CreateAccountStatus)[]
  /** Before a client's first answer. */
  connect: (client: number) => Promise<void>
  stored: NativeTransfer[]
  storedAccounts: NativeAccount[]
}

/** An Error as the client throws it. */
export const requestError = (code: string): Error => Object.assign(new Error(code), { code })

export function createFakeNative(): FakeNative {
  const clients: FakeNative['clients'] = []
  const fake: FakeNative = {
    CreateAccountStatus,
    CreateTransferStatus,
    clients,
    answer: async (batch) => batch.map(() => 'created'),
    answerAccounts: (batch) => batch.map(() => 'created'),
    connect: async () => undefined,
    stored: [],
    storedAccounts: [],
    createClient({ replica_addresses }) {
      const number = clients.length
      const state = { addresses: replica_addresses.map(String), batches: [] as Batch[], destroyed: false }
      clients.push(state)
      const closed = new Set<(error: Error) => void>()
      /** A client that is destroyed fails what it was asked. */
      const until = <T>(work: Promise<T>): Promise<T> =>
        new Promise((resolve, reject) => {
          if (state.destroyed) reject(requestError('ERR_CLIENT_CLOSED'))
          closed.add(reject)
          work.then(resolve, reject)
        })
      const client: NativeClient = {
        createTransfers(batch) {
          state.batches.push(batch)
          return until(
            (async () => {
              const names = await fake.answer(batch, number)
              return names.map((name) => ({
                timestamp: 1n,
                status: typeof name === 'number' ? name : CreateTransferStatus[name],
              }))
            })(),
          )
        },
        createAccounts: async (batch) =>
          fake.answerAccounts(batch).map((name) => ({ timestamp: 1n, status: CreateAccountStatus[name] })),
        lookupTransfers: async (ids) => fake.stored.filter(({ id }) => ids.includes(id)),
        lookupAccounts: (ids) =>
          until(fake.connect(number).then(() => fake.storedAccounts.filter(({ id }) => ids.includes(id)))),
        getAccountTransfers: async () => fake.stored,
        queryTransfers: async () => fake.stored,
        getAccountBalances: async () => [],
        queryAccounts: async () => [],
        destroy() {
          state.destroyed = true
          for (const reject of closed) reject(requestError('ERR_CLIENT_CLOSED'))
        },
      }
      return client
    },
  }
  return fake
}
