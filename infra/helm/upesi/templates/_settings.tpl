{{/* JSON of the variables of a side's ConfigMap. What the values say last wins: named values, contentMap, env. */}}
{{- define "upesi.config" -}}
{{- $root := .root -}}
{{- $side := .side -}}
{{- $config := dict -}}
{{- range $name, $paths := (get .settings $side).config -}}
{{- $text := include "upesi.first" (dict "values" $root.Values "paths" $paths) -}}
{{- if ne $text "" -}}{{- $_ := set $config $name $text -}}{{- end -}}
{{- end -}}
{{- range (dig $side "contentMap" list $root.Values.configMaps) -}}
{{- $text := include "upesi.content" (dict "values" $root.Values "entry" .) -}}
{{- if ne $text "" -}}{{- $_ := set $config .key $text -}}{{- end -}}
{{- end -}}
{{- range $map := list $root.Values.env (dig $side "env" dict $root.Values.config) -}}
{{- range $name, $value := $map -}}
{{- $_ := set $config $name (include "upesi.text" $value) -}}
{{- end -}}
{{- end -}}
{{- range $name, $text := (include "upesi.defaults" (dict "root" $root "side" $side "config" $config) | fromJson) -}}
{{- if and (ne $text "") (not (hasKey $config $name)) -}}{{- $_ := set $config $name $text -}}{{- end -}}
{{- end -}}
{{- $config | toJson -}}
{{- end -}}

{{/* An entry of a contentMap: its value, or what stands at its valueRef. */}}
{{- define "upesi.content" -}}
{{- if hasKey .entry "value" -}}
{{- include "upesi.text" .entry.value -}}
{{- else if .entry.valueRef -}}
{{- include "upesi.first" (dict "values" .values "paths" (list (trim .entry.valueRef))) -}}
{{- end -}}
{{- end -}}

{{/* JSON of what follows from other values: addresses inside the node, and what the chart arranges. */}}
{{- define "upesi.defaults" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $config := .config -}}
{{- $fullname := include "upesi.fullname" $root -}}
{{- $defaults := dict -}}
{{- if $values.migrations.enabled -}}{{- $_ := set $defaults "ENABLE_MANUAL_MIGRATIONS" "true" -}}{{- end -}}
{{- if eq .side "backend" -}}
{{- $auth := dict "introspection" (default 3007 (dig "auth" "port" "introspection" "" $values.config)) "serviceapi" (default 3011 (dig "auth" "port" "service" "" $values.config)) -}}
{{- if eq $values.mode "knative" -}}
{{- $_ := set $defaults "AUTH_SERVER_INTROSPECTION_URL" (printf "http://%s-auth-introspection.%s.svc.%s" $fullname $root.Release.Namespace $values.clusterDomain) -}}
{{- $_ := set $defaults "AUTH_SERVICE_API_URL" (printf "http://%s-auth-service-api.%s.svc.%s" $fullname $root.Release.Namespace $values.clusterDomain) -}}
{{- else -}}
{{- $service := printf "%s-%s" $fullname (dig "auth" "name" "auth-service" $values.services) -}}
{{- $settings := dig "auth" dict $values.services -}}
{{- range $listener, $variable := dict "introspection" "AUTH_SERVER_INTROSPECTION_URL" "serviceapi" "AUTH_SERVICE_API_URL" -}}
{{- $port := include "upesi.servicePort" (dict "settings" $settings "port" (dict "name" $listener "port" (get $auth $listener))) -}}
{{- $_ := set $defaults $variable (printf "http://%s:%s" $service $port) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $defaults "CONNECTOR_RPC_URL" (printf "http://%s-connector:%s" $fullname (get $config "CONNECTOR_RPC_PORT")) -}}
{{- if get $config "OPEN_PAYMENTS_URL" -}}
{{- $_ := set $defaults "WALLET_ADDRESS_URL" (printf "%s/.well-known/pay" (get $config "OPEN_PAYMENTS_URL" | trimSuffix "/")) -}}
{{- end -}}
{{- $_ := set $defaults "USE_TIGERBEETLE" (ternary "true" "false" $values.tigerbeetle.enabled) -}}
{{- if $values.tigerbeetle.enabled -}}
{{- $addresses := list -}}
{{- range $index := until (int $values.tigerbeetle.replicas) -}}
{{- $addresses = append $addresses (printf "%s-tigerbeetle-%d:3000" $fullname $index) -}}
{{- end -}}
{{- $_ := set $defaults "TIGERBEETLE_REPLICA_ADDRESSES" (join "," $addresses) -}}
{{- end -}}
{{- end -}}
{{- $defaults | toJson -}}
{{- end -}}

{{/* JSON {values, refs, problems, name, created, keep, found} of a side's secrets. refs are env entries. */}}
{{- define "upesi.secrets" -}}
{{- $root := .root -}}
{{- $side := .side -}}
{{- $others := .others -}}
{{- $settings := get $root.Values.config $side | default dict -}}
{{- $own := printf "%s-%s" (include "upesi.fullname" $root) $side -}}
{{- $created := and (not $settings.existingSecret) (ne (include "upesi.text" $settings.shouldCreateSecrets) "false") -}}
{{- $name := default $own $settings.existingSecret -}}
{{- $kept := dict -}}
{{- if $created -}}{{- $kept = (lookup "v1" "Secret" $root.Release.Namespace $own) | default dict -}}{{- end -}}
{{- $given := dict -}}
{{- range (dig $side "contentMap" list $root.Values.secretsMaps) -}}
{{- $text := include "upesi.content" (dict "values" $root.Values "entry" .) -}}
{{- if ne $text "" -}}{{- $_ := set $given .key $text -}}{{- end -}}
{{- end -}}
{{- range $key, $value := $settings.secretEnv -}}{{- $_ := set $given $key (include "upesi.text" $value) -}}{{- end -}}
{{- $refs := list -}}
{{- $problems := list -}}
{{- range $variable, $secret := (get .settings $side).secret -}}
{{- $ref := dict -}}
{{- $told := false -}}
{{- range $path := $secret.paths -}}
{{- $at := (include "upesi.at" (dict "values" $root.Values "path" $path) | fromJson).found -}}
{{- if kindIs "map" $at -}}
{{- $key := default $at.apiSecretKeyRef $at.secretKeyRef | default dict -}}
{{- if and $key.name (not $ref) (or (ne (tpl $key.name $root) $own) (not $created)) -}}
{{- $ref = dict "name" (tpl $key.name $root) "key" (default $variable $key.key) -}}
{{- end -}}
{{- if and (get $at "value") (not (hasKey $given $variable)) (not $ref) -}}{{- $_ := set $given $variable (include "upesi.text" $at.value) -}}{{- end -}}
{{- else if and (ne (include "upesi.text" $at) "") (not (hasKey $given $variable)) -}}
{{- $_ := set $given $variable (include "upesi.text" $at) -}}
{{- end -}}
{{- end -}}
{{- if and (not $ref) (not (hasKey $given $variable)) $created -}}
{{- if eq (default "" $secret.sameAs) "backend" -}}
{{- if hasKey $others.values $variable -}}{{- $_ := set $given $variable (get $others.values $variable) -}}
{{- else -}}
{{- range $others.refs -}}{{- if eq .name $variable -}}{{- $ref = .valueFrom.secretKeyRef -}}{{- end -}}{{- end -}}
{{- if and (not $ref) (not $others.created) -}}
{{- $ref = dict "name" $others.name "key" $variable "optional" (not $secret.required) -}}
{{- end -}}
{{- end -}}
{{- else if and $secret.generate (hasKey ($kept.data | default dict) $variable) -}}
{{- $_ := set $given $variable (get $kept.data $variable | b64dec) -}}
{{- else if and $secret.generate $root.Values.secrets.generate (not (and $secret.once $kept.data)) -}}
{{- if $root.Capabilities.APIVersions.Has "v1/Secret" -}}
{{- $_ := set $given $variable (randBytes (int $secret.generate)) -}}
{{- else -}}
{{- $problems = append $problems (printf "%s: secrets.generate looks into the cluster for what it made before, and there is none here; give a value or a secretKeyRef" $variable) -}}
{{- $told = true -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $ref -}}
{{- $_ := unset $given $variable -}}
{{- $refs = append $refs (dict "name" $variable "valueFrom" (dict "secretKeyRef" $ref)) -}}
{{- else if and $created $secret.required (not (hasKey $given $variable)) (not $told) -}}
{{- $ways := printf "%s.value, %s.secretKeyRef.name or config.%s.existingSecret" (first $secret.paths) (first $secret.paths) $side -}}
{{- if $secret.generate -}}{{- $ways = printf "%s, or secrets.generate=true" $ways -}}{{- end -}}
{{- $problems = append $problems (printf "%s is missing: set %s" $variable $ways) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $side "backend") $created (not (hasKey $given "REDIS_URL")) -}}
{{- $referenced := false -}}
{{- range $refs -}}{{- if eq .name "REDIS_URL" -}}{{- $referenced = true -}}{{- end -}}{{- end -}}
{{- if not $referenced -}}{{- $_ := set $given "REDIS_URL" "none" -}}{{- end -}}
{{- end -}}
{{- if and (not $created) $given -}}
{{- $problems = append $problems (printf "%s: the chart does not write the Secret %s (existingSecret, or shouldCreateSecrets=false), so these values would be lost" (keys $given | sortAlpha | join ", ") $name) -}}
{{- end -}}
{{- /* Made once, and since then in no values: also when nothing is to be made any more. */ -}}
{{- $keep := or $root.Values.secrets.generate (eq (dig "metadata" "annotations" "helm.sh/resource-policy" "" $kept) "keep") -}}
{{- dict "values" $given "refs" $refs "problems" $problems "name" $name "created" $created "keep" $keep "found" (not (empty $kept.data)) | toJson -}}
{{- end -}}
