import { readFileSync } from 'node:fs'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'

/** PEM: of `localhost`, made for tests, signed by itself. */
export interface LocalhostCertificate {
  cert: string
  key: string
}

export const localhostCertificate = (): LocalhostCertificate => {
  const read = (name: string) =>
    readFileSync(new URL(`fixtures/localhost.${name}.pem`, import.meta.url), 'utf8')
  return { cert: read('cert'), key: read('key') }
}

/** From now on clients of this process believe the certificate; to be called before they connect. */
export const trustLocalhost = (): void =>
  setDefaultCACertificates([...getCACertificates('default'), localhostCertificate().cert])
