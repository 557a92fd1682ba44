import type { ThreatTable } from '../guard.ts'

const templates = 'infra/helm/upesi/templates'
const problems = `${templates}/_problems.tpl`
const publicTests = 'infra/helm/public.test.ts'
const secretTests = 'infra/helm/secrets.test.ts'
const objectTests = 'infra/helm/chart.test.ts'
const beetleTests = 'infra/helm/tigerbeetle.test.ts'
const runningTests = 'infra/helm/running.test.ts'

/** What keeps an installation on Kubernetes from showing what is private, or losing what it cannot make again. */
export const chartThreats: ThreatTable = {
  title: 'Kubernetes',
  about: 'The chart refuses values, or renders nothing that would do it.',
  threats: [
    {
      name: 'A private listener is reachable from outside',
      guards: [
        {
          name: 'an Ingress reaches public listeners only',
          file: problems,
          text: '{{- else if and (hasPrefix $fullname $to.service) (not (include "upesi.public" $to)) -}}',
          without: '{{- else if false -}}',
          test: { file: publicTests, name: 'an Ingress to a private listener is refused' },
        },
        {
          name: 'Services are of the cluster',
          file: problems,
          text: '{{- if ne $type "ClusterIP" -}}',
          without: '{{- if false -}}',
          test: { file: publicTests, name: 'a Service that would be public is refused' },
        },
        {
          name: 'Knative keeps private listeners in the cluster',
          file: `${templates}/knative.yaml`,
          text: 'networking.knative.dev/visibility: cluster-local',
          without: '',
          test: { file: publicTests, name: 'nothing private is, in any variant' },
        },
        {
          name: 'a Gateway routes public listeners only',
          file: `${templates}/public.yaml`,
          text: '{{- if include "upesi.public" (dict "side" $item.side "port" $port.name) }}',
          without: '{{- if true }}',
          test: { file: publicTests, name: 'by default nothing is' },
        },
        {
          name: 'and the connector only when it is asked for',
          file: `${templates}/public.yaml`,
          text: '{{- if or (ne $name "connector") $route.enabled }}',
          without: '{{- if true }}',
          test: { file: publicTests, name: 'by default nothing is' },
        },
        {
          name: 'pods take nothing that no policy names',
          file: `${templates}/networkpolicies.yaml`,
          text: 'policyTypes: [Ingress, Egress]',
          without: 'policyTypes: [Egress]',
          test: { file: publicTests, name: 'pods take nothing that no policy names' },
        },
        {
          name: 'private listeners are for the node and its wallets',
          file: `${templates}/networkpolicies.yaml`,
          text: '{{- if has .name (list "admin" "interaction") }}',
          without: '{{- if true }}',
          test: { file: publicTests, name: 'pods take nothing that no policy names' },
        },
        {
          name: 'pods reach no private network by URLs of others',
          file: 'infra/helm/upesi/values.yaml',
          text: '169.254.0.0/16, ',
          without: '',
          test: { file: publicTests, name: 'URLs of others lead to no private network' },
        },
      ],
    },
    {
      name: 'Signed requests are changed on their way',
      guards: [
        {
          name: 'no Ingress rewrites paths',
          file: problems,
          text: '{{- if regexMatch "rewrite-target|app-root|rewrite" $name -}}',
          without: '{{- if false -}}',
          test: { file: publicTests, name: 'paths reach the node as they are' },
        },
      ],
    },
    {
      name: 'Secrets are seen, guessed, or lost',
      guards: [
        {
          name: 'none stands among plain variables',
          file: problems,
          text: '{{- if has $name $secretNames -}}',
          without: '{{- if false -}}',
          test: { file: secretTests, name: 'a secret among plain variables is refused' },
        },
        {
          name: "examples' values are none",
          file: problems,
          text: '{{- if regexMatch "changeme|some-guid|rafiki-override-this-value" $text -}}',
          without: '{{- if false -}}',
          test: {
            file: 'infra/helm/settings.test.ts',
            name: 'examples of the public chart are no values',
          },
        },
        {
          name: 'none is made anew where nobody can look for the one before',
          file: `${templates}/_settings.tpl`,
          text: '{{- if $root.Capabilities.APIVersions.Has "v1/Secret" -}}',
          without: '{{- if true -}}',
          test: { file: secretTests, name: 'nothing is made where nobody can look' },
        },
        {
          name: 'what was made stays when the release goes',
          file: `${templates}/secrets.yaml`,
          text: '    # What was made here is nowhere else.\n    helm.sh/resource-policy: keep',
          without: '    made: here',
          test: { file: secretTests, name: 'what is missing is made' },
        },
        {
          name: 'values that no Secret would hold are refused',
          file: `${templates}/_settings.tpl`,
          text: '{{- if and (not $created) $given -}}',
          without: '{{- if false -}}',
          test: { file: secretTests, name: 'where the Secret is somebody else’s' },
        },
        {
          name: 'both sides have one operator',
          file: problems,
          text: '{{- if and $one $other (ne $one $other) -}}',
          without: '{{- if false -}}',
          test: { file: secretTests, name: 'the operator’s secret and id are one' },
        },
      ],
    },
    {
      name: 'A process does more than its work',
      guards: [
        {
          name: 'pods have no token of the cluster',
          file: `${templates}/_pod.tpl`,
          text: 'automountServiceAccountToken: false',
          without: 'automountServiceAccountToken: true',
          test: { file: objectTests, name: 'containers are unprivileged' },
        },
        {
          name: 'containers change no files',
          file: 'infra/helm/upesi/values.yaml',
          text: 'readOnlyRootFilesystem: true',
          without: 'readOnlyRootFilesystem: false',
          test: { file: objectTests, name: 'containers are unprivileged' },
        },
      ],
    },
    {
      name: 'Money is lost by an installation or a change of it',
      guards: [
        {
          name: 'several connectors share what they must',
          file: problems,
          text: '{{- if and (eq $item.role "connector") $item.deployment.single (or (gt (int $item.deployment.replicaCount) 1) (dig "autoscaling" "enabled" false $item.deployment)) -}}',
          without: '{{- if false -}}',
          test: { file: publicTests, name: 'contradictions are refused' },
        },
        {
          name: 'what scales the backend makes no second one',
          file: `${templates}/_state.tpl`,
          text: '{{- if and $single (not (dig "autoscaling" "enabled" false $own)) -}}',
          without: '{{- if false -}}',
          test: { file: runningTests, name: 'who turns scaling off keeps the processes' },
        },
        {
          name: "a replica's file is made once",
          file: `${templates}/tigerbeetle.yaml`,
          text: 'if [ -e "$file" ]; then exit 0; fi',
          without: '',
          test: { file: beetleTests, name: 'each formats its file once, and one that is there stays' },
        },
        {
          name: 'and its claim stays when the release goes',
          file: `${templates}/tigerbeetle.yaml`,
          text: 'whenDeleted: Retain',
          without: 'whenDeleted: Delete',
          test: {
            file: beetleTests,
            name: 'each has an address of its own, and a volume that outlives the release',
          },
        },
        {
          name: 'a connector has as long as its drain takes',
          file: `${templates}/_state.tpl`,
          text: '(add 85 (div',
          without: '(add 30 (div',
          test: { file: runningTests, name: 'a pod has longer to end' },
        },
      ],
    },
  ],
}
