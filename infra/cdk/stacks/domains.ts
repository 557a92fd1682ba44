import { Certificate, CertificateValidation, type ICertificate } from 'aws-cdk-lib/aws-certificatemanager'
import { HostedZone, type IHostedZone } from 'aws-cdk-lib/aws-route53'
import type { Construct } from 'constructs'
import type { Domain, UpesiConfig } from '../config.ts'

function domainOf(config: UpesiConfig, host: string): Domain {
  const domain = config.domains.find((one) => one.host === host)
  if (!domain) throw new Error(`${host} is not among the domains`)
  return domain
}

/** Where the address of a host is written, if this installation may do that. */
export function zoneOf(scope: Construct, config: UpesiConfig, host: string): IHostedZone | undefined {
  const zone = domainOf(config, host).hostedZone
  return (
    zone &&
    HostedZone.fromHostedZoneAttributes(scope, `Zone-${host}`, { hostedZoneId: zone.id, zoneName: zone.name })
  )
}

export function certificateOf(scope: Construct, config: UpesiConfig, host: string): ICertificate {
  const { certificateArn, hostedZone } = domainOf(config, host)
  if (certificateArn) return Certificate.fromCertificateArn(scope, `Certificate-${host}`, certificateArn)
  if (!hostedZone) throw new Error(`${host} has neither a certificate nor a hosted zone`)
  return new Certificate(scope, `Certificate-${host}`, {
    domainName: host,
    validation: CertificateValidation.fromDns(
      HostedZone.fromHostedZoneAttributes(scope, `ProofZone-${host}`, {
        hostedZoneId: hostedZone.id,
        zoneName: hostedZone.name,
      }),
    ),
  })
}
