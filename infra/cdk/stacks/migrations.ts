import { Duration, Stack, type StackProps } from 'aws-cdk-lib/core'
import { InvocationType, Trigger } from 'aws-cdk-lib/triggers'
import type { Construct } from 'constructs'
import { environmentOf, type Surroundings } from '../environment.ts'
import { type ComputeContext, createFunction } from './compute.ts'
import type { DatabaseAccess } from './data.ts'

const MINUTES_MAX = 15
/** Where Lambda keeps the authorities of RDS, which sign for clusters and are nobody else's. */
const RDS_AUTHORITIES = '/var/runtime/ca-cert.pem'

/**
 * Brings the databases up to date before anything of the new build runs: every stack that runs some of it depends on this one. It
 * runs again when the code of the migrations changed. A migration that fails fails the deployment, with the old build running.
 */
export class MigrationsStack extends Stack {
  constructor(scope: Construct, id: string, props: StackProps & ComputeContext & { around: Surroundings }) {
    super(scope, id, props)
    const { network, config } = props
    const past = (access: DatabaseAccess): DatabaseAccess => ({ ...access, url: access.directUrl })
    const around = { ...props.around, resources: past(props.around.resources), auth: past(props.around.auth) }
    const environment = environmentOf('migrate', 'lambda', config, around)
    const handler = createFunction(this, props, {
      id: 'migrate',
      role: 'migrate',
      handler: 'handler',
      environment: { ...environment, plain: { ...environment.plain, NODE_EXTRA_CA_CERTS: RDS_AUTHORITIES } },
      group: network.groups.migrate,
      timeoutSeconds: MINUTES_MAX * 60,
      isOnce: true,
    })
    new Trigger(this, 'Run', {
      handler,
      timeout: Duration.minutes(MINUTES_MAX),
      invocationType: InvocationType.REQUEST_RESPONSE,
      executeOnHandlerChange: true,
    })
  }
}
