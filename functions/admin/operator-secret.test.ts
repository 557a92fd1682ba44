import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { RunningDeployable } from '../../shared/platform/index.ts'
import { createTestDatabase } from '../../shared/testing/index.ts'
import { startTestAdmin, type TestAdmin } from './harness.ts'
import { startAdmin } from './wiring.ts'

const NEXT = 'the next secret of the operator'

describe("a change of the operator's secret", () => {
  let admin: TestAdmin
  const running: RunningDeployable[] = []
  before(async () => {
    admin = await startTestAdmin(await createTestDatabase('resources'), { ADMIN_API_SECRET_PREVIOUS: NEXT })
  })
  after(async () => {
    for (const process of running) await process.close()
    await admin.close()
  })

  /** Another process of the same node. */
  const start = async (secrets: Record<string, string>): Promise<number> => {
    const process = await startAdmin({ ...admin.environment, ADMIN_API_SECRET_PREVIOUS: '', ...secrets })
    running.push(process)
    return process.ports.admin ?? 0
  }
  const TENANTS = '{ whoami { id isOperator } }'
  const asked = async (apiSecret: string, port?: number) => {
    const answer = (await admin.ask({ ...admin.operator, apiSecret }, TENANTS, {}, port)) as {
      status: number
      data?: { whoami: unknown }
    }
    return answer.data?.whoami ?? answer.status
  }

  it('leaves nobody out: both are the operator’s in processes of before and of after, until the old one ends', async () => {
    const old = admin.operator.apiSecret
    const isOperator = { id: admin.operator.tenantId, isOperator: true }
    const renewed = await start({ ADMIN_API_SECRET: NEXT, ADMIN_API_SECRET_PREVIOUS: old })
    // The restarted process wrote the next secret; the other one has not ended.
    for (const port of [undefined, renewed])
      for (const secret of [old, NEXT]) assert.deepEqual(await asked(secret, port), isOperator, String(port))
    const last = await start({ ADMIN_API_SECRET: NEXT, DB_ENCRYPTION_SECRET_PREVIOUS: '' }).catch(
      (error: unknown) => error,
    )
    // Other secrets are still sealed with the old one here: no process starts without it before they are sealed anew.
    assert.match(String(last), /ADMIN_API_SECRET_PREVIOUS/)
    assert.equal(await asked('another', renewed), 401)
  })
  it('gives no tenant the operator’s rights, whichever of the two it signs with', async () => {
    const tenant = await admin.newTenant('stranger')
    for (const apiSecret of [admin.operator.apiSecret, NEXT]) {
      const answer = await admin.ask({ ...tenant, apiSecret }, TENANTS)
      assert.equal(answer.status, 401)
    }
  })
})
