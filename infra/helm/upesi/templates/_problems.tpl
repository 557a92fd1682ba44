{{/* JSON {problems}: what is missing, contradictory or would show what is private. */}}
{{- define "upesi.problems" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $state := .state -}}
{{- $settings := .settings -}}
{{- $problems := list -}}
{{- $secretNames := concat (keys $settings.backend.secret) (keys $settings.auth.secret) -}}
{{- range $side := list "backend" "auth" -}}
{{- if get $state.enabled $side -}}
{{- $config := get $state.config $side -}}
{{- $secrets := get $state.secrets $side -}}
{{- $problems = concat $problems $secrets.problems -}}
{{- $named := list -}}
{{- range concat (dig $side "env" list $values.deployments) (dig $side "extraEnv" list $values.deployments) -}}{{- $named = append $named .name -}}{{- end -}}
{{- range $name := (get $settings $side).required -}}
{{- if not (or (hasKey $config $name) (has $name $named)) -}}
{{- $problems = append $problems (printf "%s is missing: set %s" $name (join " or " (get (get $settings $side).config $name))) -}}
{{- end -}}
{{- end -}}
{{- range $name, $text := $config -}}
{{- if has $name $secretNames -}}
{{- $problems = append $problems (printf "%s is a secret and would stand in a ConfigMap: set it in config.%s.secretEnv, or by a secretKeyRef" $name $side) -}}
{{- end -}}
{{- end -}}
{{- range $name, $text := merge (dict) $config $secrets.values -}}
{{- if regexMatch "changeme|some-guid|rafiki-override-this-value" $text -}}
{{- $problems = append $problems (printf "%s is still an example's value: %s" $name (ternary "(a secret)" $text (has $name $secretNames))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $state.enabled.backend $state.enabled.auth -}}
{{- $problems = concat $problems (include "upesi.problems.same" (dict "state" $state) | fromJson).problems -}}
{{- end -}}
{{- $config := $state.config.backend -}}
{{- if and (eq $values.mode "knative") ($root.Capabilities.APIVersions.Has "v1/Secret") (not ($root.Capabilities.APIVersions.Has "serving.knative.dev/v1")) -}}
{{- $problems = append $problems "mode is knative, and the cluster has no serving.knative.dev/v1: install Knative Serving, or set mode=deployment" -}}
{{- end -}}
{{- if eq $values.mode "knative" -}}
{{- if has (include "upesi.text" $values.metrics.port) (list "8012" "8013" "8022" "8112" "9090" "9091") -}}
{{- $problems = append $problems "metrics.port is a port of Knative's own" -}}
{{- end -}}
{{- range $item := $state.items -}}
{{- if $item.knative -}}{{- range $item.ports -}}
{{- if has (int .port) (list 8012 8013 8022 8112 9090 9091) -}}{{- $problems = append $problems (printf "%s=%d is a port of Knative's own" .variable (int .port)) -}}{{- end -}}
{{- end -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.keda.enabled ($root.Capabilities.APIVersions.Has "v1/Secret") (not ($root.Capabilities.APIVersions.Has "keda.sh/v1alpha1")) -}}
{{- $problems = append $problems "keda.enabled is true, and the cluster has no keda.sh/v1alpha1: install KEDA, or set keda.enabled=false" -}}
{{- end -}}
{{- if not (or $values.image.repository ($values.imageOverride | default dict).repository) -}}
{{- $problems = append $problems "image.repository is missing: set it to the registry and folder that hold the images" -}}
{{- end -}}
{{- range $item := $state.items -}}
{{- if and (eq $item.role "connector") $item.deployment.single (or (gt (int $item.deployment.replicaCount) 1) (dig "autoscaling" "enabled" false $item.deployment)) -}}
{{- $problems = append $problems "several connectors need a Redis that they share: set config.backend.redisUrl, or deployments.connector.replicaCount=1 without autoscaling" -}}
{{- end -}}
{{- if and $item.deployment.image (regexMatch "^rafiki-" (default "" $item.deployment.image.name)) -}}
{{- $problems = append $problems (printf "deployments: the image %s is Rafiki's; take image.name out" $item.deployment.image.name) -}}
{{- end -}}
{{- end -}}
{{- if and $state.enabled.backend (eq (get $config "USE_TIGERBEETLE") "true") (not (get $config "TIGERBEETLE_REPLICA_ADDRESSES")) -}}
{{- $problems = append $problems "USE_TIGERBEETLE is true: set config.backend.tigerbeetle.replicaAddresses, or tigerbeetle.enabled=true" -}}
{{- end -}}
{{- if and $state.enabled.backend (eq (get $config "ENABLE_AUTO_PEERING") "true") -}}
{{- range $name := list "INSTANCE_NAME" "ILP_CONNECTOR_URL" -}}
{{- if not (get $config $name) -}}
{{- $problems = append $problems (printf "%s is missing, and auto-peering tells it to peers: set %s" $name (join " or " (get $settings.backend.config $name))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $driver := get $config "QUEUE_DRIVER" -}}
{{- if and (eq $driver "sqs") (not (and (get $config "SQS_WEBHOOKS_QUEUE_URL") (get $config "SQS_PAYMENTS_QUEUE_URL"))) -}}
{{- $problems = append $problems "queue.driver is sqs: set queue.sqs.webhooksQueueUrl and queue.sqs.paymentsQueueUrl" -}}
{{- end -}}
{{- if and (eq $driver "redis") (eq (get $state.secrets.backend.values "REDIS_URL" | default "") "none") -}}
{{- $problems = append $problems "queue.driver is redis: set config.backend.redisUrl" -}}
{{- end -}}
{{- if and $values.keda.enabled (eq $driver "redis") (not (include "upesi.keda.redisAddress" $root)) -}}
{{- $problems = append $problems "keda with the redis driver: set keda.redis.address (host:port), because REDIS_URL is not among the values" -}}
{{- end -}}
{{- if and $values.keda.enabled (not (has $driver (list "redis" "sqs"))) (not $values.keda.postgres.connectionSecretKeyRef) -}}
{{- $apart := hasKey $state.secrets.backend.values "DATABASE_PASSWORD" -}}
{{- range $state.secrets.backend.refs -}}{{- if eq .name "DATABASE_PASSWORD" -}}{{- $apart = true -}}{{- end -}}{{- end -}}
{{- if $apart -}}
{{- $problems = append $problems "keda looks into Postgres with DATABASE_URL, and the password is in DATABASE_PASSWORD: set keda.postgres.connectionSecretKeyRef to a URL that has it" -}}
{{- end -}}
{{- end -}}
{{- if and $values.metrics.serviceMonitor.enabled $values.networkPolicy.enabled (not $values.networkPolicy.metricsFrom) -}}
{{- $problems = append $problems "metrics.serviceMonitor.enabled is true, and no policy lets Prometheus in: set networkPolicy.metricsFrom" -}}
{{- end -}}
{{- if and $values.gateway.enabled (not $values.gateway.parentRefs) -}}
{{- $problems = append $problems "gateway.enabled is true: set gateway.parentRefs to the Gateway that takes the routes" -}}
{{- end -}}
{{- range $side := list "backend" "auth" -}}
{{- $type := dig $side "type" "ClusterIP" $values.services -}}
{{- if ne $type "ClusterIP" -}}
{{- $problems = append $problems (printf "services.%s.type is %s: it would show the private listeners beside the public ones; use gateway or ingress" $side $type) -}}
{{- end -}}
{{- if and (get $state.enabled $side) (eq (dig $side "enabled" "" $values.services | include "upesi.text") "false") -}}
{{- $problems = append $problems (printf "services.%s.enabled is false: the node itself, its routes and its tests go through that Service" $side) -}}
{{- end -}}
{{- $problems = concat $problems (include "upesi.problems.ingress" (dict "root" $root "side" $side) | fromJson).problems -}}
{{- end -}}
{{- dict "problems" $problems | toJson -}}
{{- end -}}

{{/* Both sides must agree about the operator. */}}
{{- define "upesi.problems.same" -}}
{{- $state := .state -}}
{{- $problems := list -}}
{{- if ne (get $state.config.backend "OPERATOR_TENANT_ID" | toString) (get $state.config.auth "OPERATOR_TENANT_ID" | toString) -}}
{{- $problems = append $problems "config.backend.tenancy.tenantId and config.auth.tenancy.tenantId differ: there is one operator" -}}
{{- end -}}
{{- range $name := list "ADMIN_API_SECRET" "AUTH_SERVICE_API_SECRET" -}}
{{- $one := get $state.secrets.backend.values $name -}}
{{- $other := get $state.secrets.auth.values $name -}}
{{- if and $one $other (ne $one $other) -}}
{{- $problems = append $problems (printf "%s of config.backend and of config.auth differ: both sides sign with it" $name) -}}
{{- end -}}
{{- end -}}
{{- dict "problems" $problems | toJson -}}
{{- end -}}

{{/* An Ingress reaches public listeners alone, and leaves paths as they are: signatures cover them. */}}
{{- define "upesi.problems.ingress" -}}
{{- $root := .root -}}
{{- $side := .side -}}
{{- $problems := list -}}
{{- $ingress := get $root.Values.ingress $side | default dict -}}
{{- if $ingress.enabled -}}
{{- if not $ingress.hosts -}}
{{- $problems = append $problems (printf "ingress.%s is enabled: set ingress.%s.hosts" $side $side) -}}
{{- end -}}
{{- range $name, $value := $ingress.annotations -}}
{{- if regexMatch "rewrite-target|app-root|rewrite" $name -}}
{{- $problems = append $problems (printf "ingress.%s: %s changes paths, and signatures of requests cover them" $side $name) -}}
{{- end -}}
{{- end -}}
{{- $fullname := include "upesi.fullname" $root -}}
{{- range $ingress.hosts -}}
{{- range default (list (dict "path" "/")) .paths -}}
{{- $to := include "upesi.ingress.port" (dict "root" $root "side" $side "service" (.service | default dict)) | fromJson -}}
{{- if and (eq $root.Values.mode "knative") (ne $to.port "connector") -}}
{{- $problems = append $problems (printf "ingress.%s: with mode=knative it is Knative that publishes %s; see knative.domainMappings" $side $to.port) -}}
{{- else if and (hasPrefix $fullname $to.service) (not (include "upesi.public" $to)) -}}
{{- $problems = append $problems (printf "ingress.%s: %s:%s is private" $side $to.service $to.port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "problems" $problems | toJson -}}
{{- end -}}
