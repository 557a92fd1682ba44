import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import * as configuration from './config.ts'
import { withDatabasePassword } from './database-url.ts'
import { passwordOf } from './variables.ts'

test('the password goes into a URL that has none, whatever characters it has', () => {
  for (const password of ['plain', 'a@b:c/d?e#f', ' %41é$&', "$'$`"])
    for (const url of [
      'postgresql://app@db.example:5433/upesi?sslmode=disable',
      'postgres://app:@db.example:5433/upesi',
    ]) {
      const client = new pg.Client({ connectionString: withDatabasePassword(url, password) })
      assert.deepEqual(
        [client.user, client.password, client.host, client.port, client.database],
        ['app', password, 'db.example', 5433, 'upesi'],
      )
    }
})

test('one that has a password keeps it, and one without a user is refused', () => {
  const url = 'postgresql://app:own@db.example/upesi'
  assert.equal(withDatabasePassword(url, 'other'), url)
  for (const nameless of ['postgresql://db.example/upesi', 'postgresql:///upesi'])
    assert.throws(() => withDatabasePassword(nameless, 'x'), /names a user/, nameless)
})

test('configuration joins the two variables, and shows neither', () => {
  const schema = {
    url: configuration.variable('URL', configuration.postgresUrl, {
      about: 'database',
      secret: true,
      completion: passwordOf('PASSWORD'),
    }),
  }
  const load = (env: Record<string, string>) => configuration.loadConfig(schema, env).url
  assert.equal(load({ URL: 'postgresql://a@h/d', PASSWORD: 'p:p' }), 'postgresql://a:p%3Ap@h/d')
  assert.equal(load({ URL: 'postgresql://a@h/d', PASSWORD: '' }), 'postgresql://a@h/d')
  assert.throws(
    () => load({ URL: 'postgresql://h/d', PASSWORD: 'hidden' }),
    (error) => {
      assert.ok(error instanceof Error)
      assert.match(error.message, /PASSWORD goes with a URL/)
      assert.doesNotMatch(error.message, /hidden/)
      return true
    },
  )
})
