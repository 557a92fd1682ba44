import {
  ApiMapping,
  DomainName,
  EndpointType,
  HttpApi,
  type HttpStage,
  IpAddressType,
  LogGroupLogDestination,
  SecurityPolicy,
} from 'aws-cdk-lib/aws-apigatewayv2'
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations'
import { FunctionUrlAuthType, type Function as Lambda } from 'aws-cdk-lib/aws-lambda'
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs'
import { ARecord, RecordTarget } from 'aws-cdk-lib/aws-route53'
import { ApiGatewayv2DomainProperties } from 'aws-cdk-lib/aws-route53-targets'
import { CfnOutput, RemovalPolicy } from 'aws-cdk-lib/core'
import type { Construct } from 'constructs'
import { acknowledge } from '../acknowledge.ts'
import type { UpesiConfig } from '../config.ts'
import type { PublicListener } from '../roles.ts'
import { certificateOf, zoneOf } from './domains.ts'

export interface PublicFront {
  apis: { listener: PublicListener; api: HttpApi; stage: HttpStage }[]
  /** Functions that have addresses of their own instead. */
  urls: PublicFunction[]
}
interface PublicFunction {
  listener: PublicListener
  fn: Lambda
}

/** Requests a second of one API: beyond it callers are told to wait, before a function is paid for. */
const RATE_LIMIT = 500
const BURST_LIMIT = 1_000

/** The hosts at which a listener is: wallet addresses may have hosts of their own besides the resource server's. */
export function hostsOf(config: UpesiConfig, listener: PublicListener): string[] {
  const { openPayments, auth, autoPeering, ilp } = config.urls
  const host = (url: string | undefined) => (url === undefined ? undefined : new URL(url).host)
  const others = [host(auth), host(autoPeering), host(ilp)]
  if (listener === 'auth') return [host(auth) ?? '']
  if (listener === 'auto-peering') return [host(autoPeering) ?? '']
  return [
    host(openPayments) ?? '',
    ...config.domains
      .map((domain) => domain.host)
      .filter((one) => one !== host(openPayments) && !others.includes(one)),
  ]
}

function createHttpApi(scope: Construct, config: UpesiConfig, { listener, fn }: PublicFunction) {
  const api = new HttpApi(scope, `${listener}-api`, {
    apiName: `${config.name}-${listener}`,
    description: `${config.name}: ${listener}`,
    createDefaultStage: false,
    // Signatures name the public host: nothing is served under another name.
    disableExecuteApiEndpoint: true,
    ipAddressType: IpAddressType.DUAL_STACK,
    defaultIntegration: new HttpLambdaIntegration(`${listener}-integration`, fn),
  })
  const stage = api.addStage(`${listener}-stage`, {
    stageName: '$default',
    autoDeploy: true,
    throttle: { rateLimit: RATE_LIMIT, burstLimit: BURST_LIMIT },
    detailedMetricsEnabled: true,
    accessLogSettings: {
      destination: new LogGroupLogDestination(
        new LogGroup(scope, `${listener}-access`, {
          retention: config.logDays as RetentionDays,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
      ),
    },
  })
  acknowledge(api, {
    'AwsSolutions-APIG4':
      'Callers prove themselves by signatures and tokens of Open Payments and GNAP, which the function checks.',
  })
  for (const host of hostsOf(config, listener)) addDomain(scope, config, { api, stage }, host)
  return { listener, api, stage }
}

function addDomain(
  scope: Construct,
  config: UpesiConfig,
  { api, stage }: { api: HttpApi; stage: HttpStage },
  host: string,
): void {
  const domain = new DomainName(scope, `Domain-${host}`, {
    domainName: host,
    certificate: certificateOf(scope, config, host),
    endpointType: EndpointType.REGIONAL,
    securityPolicy: SecurityPolicy.TLS_1_2,
    ipAddressType: IpAddressType.DUAL_STACK,
  })
  new ApiMapping(scope, `Mapping-${host}`, { api, domainName: domain, stage })
  const zone = zoneOf(scope, config, host)
  if (zone)
    new ARecord(scope, `Record-${host}`, {
      zone,
      recordName: host,
      target: RecordTarget.fromAlias(
        new ApiGatewayv2DomainProperties(domain.regionalDomainName, domain.regionalHostedZoneId),
      ),
    })
  else
    new CfnOutput(scope, `Target-${host}`, {
      value: domain.regionalDomainName,
      description: `alias of ${host}`,
    })
}

/** Addresses of the functions themselves: the public ones, since a request says no other host than the one that it was sent to. */
function createFunctionUrl(scope: Construct, { listener, fn }: PublicFunction): void {
  const url = fn.addFunctionUrl({ authType: FunctionUrlAuthType.NONE })
  new CfnOutput(scope, `Url-${listener}`, { value: url.url, description: `function URL of ${listener}` })
}

/** What the internet reaches of the functions, and nothing else does: three listeners at most. */
export function createPublicFront(
  scope: Construct,
  config: UpesiConfig,
  functions: readonly PublicFunction[],
): PublicFront {
  if (config.front === 'functionUrl') {
    for (const one of functions) createFunctionUrl(scope, one)
    return { apis: [], urls: [...functions] }
  }
  return { apis: functions.map((one) => createHttpApi(scope, config, one)), urls: [] }
}
