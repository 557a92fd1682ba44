{{/* host:port of the Redis that carries the queues, where it can be known. */}}
{{- define "upesi.keda.redisAddress" -}}
{{- $url := "" -}}
{{- with .Values._upesi -}}{{- $url = get .secrets.backend.values "REDIS_URL" | default "" -}}{{- end -}}
{{- if .Values.keda.redis.address -}}{{ .Values.keda.redis.address }}
{{- else if hasPrefix "redis" $url -}}
{{- $host := (urlParse $url).host -}}
{{- ternary $host (printf "%s:6379" $host) (regexMatch ":[0-9]+$" $host) -}}
{{- end -}}
{{- end -}}

{{/* Which of that Redis's databases: what the values say, or what stands in the URL. */}}
{{- define "upesi.keda.redisDatabase" -}}
{{- $url := get .Values._upesi.secrets.backend.values "REDIS_URL" | default "" -}}
{{- $said := include "upesi.text" .Values.keda.redis.database -}}
{{- if ne $said "" -}}{{ $said }}
{{- else if hasPrefix "redis" $url -}}{{ regexFind "^[0-9]+" ((urlParse $url).path | trimPrefix "/") | default "0" }}
{{- else -}}0{{- end -}}
{{- end -}}

{{/* JSON {username, password} for that Redis: what the values say, or what stands in the URL, decoded. */}}
{{- define "upesi.keda.redisLogin" -}}
{{- $url := get .Values._upesi.secrets.backend.values "REDIS_URL" | default "" -}}
{{- $login := dict "username" "" "password" "" -}}
{{- if hasPrefix "redis" $url -}}
{{- $parts := (urlParse $url).userinfo | default "" | splitList ":" -}}
{{- range $index, $name := list "username" "password" -}}
{{- if gt (len $parts) $index -}}
{{- $_ := set $login $name ((urlParse (printf "http://host/%s" (index $parts $index))).path | trimPrefix "/") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.keda.redis.username -}}{{- $_ := set $login "username" . -}}{{- end -}}
{{- $login | toJson -}}
{{- end -}}

{{/* May this role have no process, so that somebody else must see to its scheduled tasks? */}}
{{- define "upesi.toZero" -}}
{{- $values := .root.Values -}}
{{- if eq .item.role "relay" -}}
{{- else if .item.worker -}}
{{- if and $values.keda.enabled (eq (int $values.keda.minReplicas) 0) -}}yes{{- end -}}
{{- else if .item.knative -}}
{{- $knative := mergeOverwrite (deepCopy $values.knative) (.item.deployment.knative | default dict) -}}
{{- if eq (int $knative.minScale) 0 -}}yes{{- end -}}
{{- end -}}
{{- end -}}
