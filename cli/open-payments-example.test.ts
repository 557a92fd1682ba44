import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type ExampleClient, exampleCommand, seedExampleClient } from './example-client.ts'
import { projectFolder } from './options.ts'
import { startTestBanks, type TestBanks } from './testing/test-banks.ts'

/** What `npm start` prints to be typed, typed. */
describe('the example client', () => {
  let banks: TestBanks
  let client: ExampleClient
  let folder: string
  before(async () => {
    banks = await startTestBanks({ environments: { a: { WAIT_SECONDS: '0' } } })
    folder = await mkdtemp(join(tmpdir(), 'upesi-example-'))
    client = await seedExampleClient(banks, join(folder, 'shop.pem'))
  })
  after(async () => {
    await banks.close()
    await rm(folder, { recursive: true })
  })

  async function run(...more: string[]): Promise<{ status: number; out: string; err: string }> {
    const [program = '', ...args] = exampleCommand(banks, client, projectFolder).split(/[\s\\]+/)
    assert.equal(program, 'node_modules/.bin/node')
    const child = spawn(process.execPath, [...args, ...more], { cwd: projectFolder, timeout: 120_000 })
    let [out, err] = ['', '']
    child.stdout.on('data', (chunk) => (out += chunk))
    child.stderr.on('data', (chunk) => (err += chunk))
    const [status] = (await once(child, 'close')) as [number]
    return { status, out, err }
  }

  it('is paid, with consent', async () => {
    const { status, out, err } = await run('--approve')
    assert.deepEqual([status, err], [0, ''])
    assert.match(out, /^Alice \(USD, \S+\/alice\) shall pay Corner Shop \(EUR, \S+\/shop\)\.$/m)
    assert.match(out, /^Quote: at most 5\.56 USD for 5\.00 EUR to arrive\.$/m)
    assert.match(out, /^ {2}http:\/\/localhost:\d+\/interact\/\S+$/m)
    assert.match(out, /^The payer agreed, and the hash is right\.$/m)
    assert.match(out, /^Paid\. Corner Shop received 5\.00 EUR; Alice's bank sent 5\.50 USD\.$/m)
  })

  it('does the same twice, with the account that is there, and for somebody else', async () => {
    assert.deepEqual(await seedExampleClient(banks, client.keyFile), client)
    const bob = banks.side('b', 'bob').walletAddress.address
    const { status, out } = await run('--approve', '--to', bob, '--amount', '0.1')
    assert.equal(status, 0)
    assert.match(out, /^Paid\. Bob received 0\.10 EUR;/m)
  })

  it('says what is wrong', async () => {
    const bob = banks.side('b', 'bob').walletAddress.address
    const [tooFine, otherKey, unknownOption] = await Promise.all([
      run('--approve', '--amount', '5.001'),
      // Bob's account publishes another key under another id.
      run('--client', bob),
      run('--nonsense'),
    ])
    assert.match(tooFine.err, /5\.001 is no amount of EUR, which has 2 decimals/)
    assert.match(otherKey.err, /could not determine client/)
    assert.match(unknownOption.err, /--nonsense/)
    for (const { status, out } of [tooFine, otherKey, unknownOption])
      assert.deepEqual([status, /Paid/.test(out)], [1, false])
  })
})
