{{/*
Everything that several templates need, worked out once: what is made of randomness must be the same wherever it is read. Kept
beside the values as `_upesi`; nothing else is ever written there. Fails with all problems together.
*/}}
{{- define "upesi.state" -}}
{{- if not (hasKey .Values "_upesi") -}}
{{- $settings := .Files.Get "files/settings.yaml" | fromYaml -}}
{{- $backend := include "upesi.config" (dict "root" . "side" "backend" "settings" $settings) | fromJson -}}
{{- $auth := include "upesi.config" (dict "root" . "side" "auth" "settings" $settings) | fromJson -}}
{{- $backendSecrets := include "upesi.secrets" (dict "root" . "side" "backend" "settings" $settings) | fromJson -}}
{{- $authSecrets := include "upesi.secrets" (dict "root" . "side" "auth" "settings" $settings "others" $backendSecrets) | fromJson -}}
{{- $key := include "upesi.key" (dict "root" . "secrets" $backendSecrets) | fromJson -}}
{{- if and $key.mounted (not (hasKey $backend "PRIVATE_KEY_FILE")) -}}{{- $_ := set $backend "PRIVATE_KEY_FILE" $key.file -}}{{- end -}}
{{- $state := dict "config" (dict "backend" $backend "auth" $auth) "secrets" (dict "backend" $backendSecrets "auth" $authSecrets) "key" $key -}}
{{- $_ := set $state "enabled" (dict "backend" (ne (include "upesi.text" .Values.config.backend.enabled) "false") "auth" (ne (include "upesi.text" .Values.config.auth.enabled) "false")) -}}
{{- $_ := set $state "items" (include "upesi.items" (dict "root" . "state" $state) | fromJson).items -}}
{{- $_ := set .Values "_upesi" $state -}}
{{- $problems := (include "upesi.problems" (dict "root" . "state" $state "settings" $settings) | fromJson).problems -}}
{{- if $problems -}}{{- fail (printf "\n  - %s\n" (join "\n  - " $problems)) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* JSON {mounted, created, name, pem, file} of the node's signing key. Without one the node keeps its own, in its database. */}}
{{- define "upesi.key" -}}
{{- $root := .root -}}
{{- $settings := $root.Values.config.backend.key | default dict -}}
{{- $own := printf "%s-backend-keys" (include "upesi.fullname" $root) -}}
{{- $file := coalesce $settings.mount $root.Values.config.backend.pvk "/mnt/keys/pvk.pem" -}}
{{- $key := dict "mounted" true "created" false "name" $own "file" $file "pem" "" -}}
{{- $kept := lookup "v1" "Secret" $root.Release.Namespace $own | default dict -}}
{{- $ours := eq (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $kept) $root.Release.Name -}}
{{- if $settings.existingSecret -}}
{{- $_ := set $key "name" $settings.existingSecret -}}
{{- else if $settings.pvk -}}
{{- $_ := set $key "created" true -}}
{{- $_ := set $key "pem" (ternary $settings.pvk ($settings.pvk | b64dec) (contains "-----BEGIN" $settings.pvk)) -}}
{{- else if and $kept.data $ours -}}
{{- $_ := set $key "created" true -}}
{{- $_ := set $key "pem" (get $kept.data "pvk.pem" | b64dec) -}}
{{- else if $kept.data -}}
{{- else if and $root.Values.secrets.generate .secrets.created (not .secrets.found) -}}
{{- /* With the Secret alone: a node that runs has a key in its database, and would sign with another under the same id. */ -}}
{{- $_ := set $key "created" true -}}
{{- $_ := set $key "pem" (genPrivateKey "ed25519") -}}
{{- else if .secrets.created -}}
{{- $_ := set $key "mounted" false -}}
{{- else if $root.Values.config.backend.existingSecret -}}
{{- $_ := set $key "mounted" false -}}
{{- end -}}
{{- $key | toJson -}}
{{- end -}}

{{/* JSON {items}: what runs, with its name, ports, settings and replicas. On Knative each listener of auth is an item of its own. */}}
{{- define "upesi.items" -}}
{{- $root := .root -}}
{{- $state := .state -}}
{{- $values := $root.Values -}}
{{- $items := list -}}
{{- range $role, $about := ($root.Files.Get "files/roles.yaml" | fromYaml) -}}
{{- $config := get $state.config $about.side -}}
{{- $side := get $values.deployments $about.side | default dict -}}
{{- $deployment := mergeOverwrite (deepCopy $about.defaults) (omit (deepCopy $side) "name" "enabled" "ports" "livenessProbe" "readinessProbe" "startupProbe") -}}
{{- range $probe := list "livenessProbe" "readinessProbe" "startupProbe" -}}
{{- /* Where to ask differs between the roles; how often may be said once for all. */ -}}
{{- $_ := set $deployment $probe (omit (deepCopy (get $side $probe | default dict)) "httpGet" "exec" "tcpSocket" "grpc") -}}
{{- end -}}
{{- if ne $role $about.side -}}{{- $deployment = mergeOverwrite $deployment (deepCopy (get $values.deployments $role | default dict)) -}}{{- end -}}
{{- /* A number of replicas that somebody said is meant, unless they say how to scale as well. */ -}}
{{- $own := ternary dict (get $values.deployments $role | default dict) (eq $role $about.side) -}}
{{- $counted := or (hasKey $side "replicaCount") (hasKey $own "replicaCount") -}}
{{- $scaling := or (hasKey ($side.autoscaling | default dict) "enabled") (hasKey ($own.autoscaling | default dict) "enabled") -}}
{{- if and $counted (not $scaling) -}}{{- $_ := set $deployment "autoscaling" (dict "enabled" false) -}}{{- end -}}
{{- if and (hasKey ($deployment.podDisruptionBudget | default dict) "minAvailable") -}}
{{- $_ := set $deployment "podDisruptionBudget" (omit $deployment.podDisruptionBudget "maxUnavailable") -}}
{{- end -}}
{{- $runs := and (get $state.enabled $about.side) (ne (include "upesi.text" (dig $role "enabled" "" $values.deployments)) "false") -}}
{{- if eq $role $about.side -}}{{- $runs = get $state.enabled $role -}}{{- end -}}
{{- if eq $role "auto-peering" -}}{{- $runs = and $runs (eq (get $config "ENABLE_AUTO_PEERING") "true") -}}{{- end -}}
{{- if eq $role "relay" -}}{{- $runs = and $runs (has (get $config "QUEUE_DRIVER") (list "redis" "sqs")) -}}{{- end -}}
{{- if $runs -}}
{{- if eq $role "connector" -}}
{{- /* Two at least where they can share what they must: STREAM totals are in Redis. */ -}}
{{- $single := eq (get $state.secrets.backend.values "REDIS_URL" | default "") "none" -}}
{{- if not (hasKey $deployment "replicaCount") -}}{{- $_ := set $deployment "replicaCount" (ternary 1 2 $single) -}}{{- end -}}
{{- $_ := set $deployment "single" $single -}}
{{- /* What scales the backend does not make several of what there may be one of. */ -}}
{{- if and $single (not (dig "autoscaling" "enabled" false $own)) -}}{{- $_ := set $deployment "autoscaling" (dict "enabled" false) -}}{{- end -}}
{{- /* Notice, packets, RPC (35 s each) and what is written at the end (5 s), and something to spare. */ -}}
{{- if not (hasKey $deployment "terminationGracePeriodSeconds") -}}
{{- $_ := set $deployment "terminationGracePeriodSeconds" (add 85 (div (int (get $config "CONNECTOR_SHUTDOWN_NOTICE_MS" | default 2000)) 1000)) -}}
{{- end -}}
{{- end -}}
{{- if eq $role "relay" -}}{{- $_ := set $deployment "autoscaling" ($own.autoscaling | default (dict "enabled" false)) -}}{{- end -}}
{{- $ports := list -}}
{{- range $name, $variable := $about.ports -}}{{- $ports = append $ports (dict "name" $name "variable" $variable "port" (int (get $config $variable))) -}}{{- end -}}
{{- $item := dict "name" $role "role" $role "side" $about.side "worker" (default false $about.worker) "knative" (and (eq $values.mode "knative") (not $about.worker) (ne $role "connector")) "ports" $ports "deployment" $deployment "env" list -}}
{{- if and $item.knative (eq $role "auth") -}}
{{- range $ports -}}
{{- $listener := ternary "service" .name (eq .name "serviceapi") -}}
{{- $suffix := ternary "auth" (printf "auth-%s" (ternary "service-api" .name (eq .name "serviceapi"))) (eq .name "auth") -}}
{{- $one := mergeOverwrite (deepCopy $item) (dict "name" $suffix) -}}
{{- $_ := set $one "ports" (list .) -}}
{{- $_ := set $one "env" (list (dict "name" "AUTH_LISTENERS" "value" $listener)) -}}
{{- $items = append $items $one -}}
{{- end -}}
{{- else -}}
{{- $items = append $items $item -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "items" $items | toJson -}}
{{- end -}}

{{/* Does this listener belong to the public? */}}
{{- define "upesi.public" -}}
{{- if or (and (eq .side "backend") (has .port (list "open-payments" "auto-peering" "connector"))) (and (eq .side "auth") (eq .port "auth")) -}}yes{{- end -}}
{{- end -}}
