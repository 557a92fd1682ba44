{{/* A Service's port: what services.<side>.ports says of it, else the process's own. */}}
{{- define "upesi.servicePort" -}}
{{- $number := .port.port -}}
{{- $name := .port.name -}}
{{- range .settings.ports -}}{{- if eq .name $name -}}{{- $number = .port -}}{{- end -}}{{- end -}}
{{- int $number -}}
{{- end -}}

{{/* JSON list of the ports that stand in the databases' URLs, where the values have them. */}}
{{- define "upesi.dataPorts" -}}
{{- $ports := list -}}
{{- range $side := list "backend" "auth" -}}
{{- $values := (get $.Values._upesi.secrets $side).values -}}
{{- range $name := list "DATABASE_URL" "DATABASE_LISTEN_URL" "LEDGER_DATABASE_URL" "AUTH_DATABASE_URL" "REDIS_URL" -}}
{{- $hosts := regexReplaceAll "^[a-z+]+://([^/?#]*@)?([^/?#]*).*$" (get $values $name | default "") "$2" -}}
{{- range regexFindAll ":[0-9]+(,|$)" $hosts -1 -}}{{- $ports = append $ports (trimAll ":," . | int) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- uniq $ports | toJson -}}
{{- end -}}

{{/* JSON {service, side, port} of an Ingress path's service: which listener it means, by number or by name. */}}
{{- define "upesi.ingress.port" -}}
{{- $root := .root -}}
{{- $side := .side -}}
{{- $fullname := include "upesi.fullname" $root -}}
{{- $service := printf "%s-%s" $fullname (dig $side "name" (printf "%s-service" $side) $root.Values.services) -}}
{{- if .service.name -}}{{- $service = tpl .service.name $root -}}{{- end -}}
{{- range $each := list "backend" "auth" -}}
{{- if eq $service (printf "%s-%s" $fullname (dig $each "name" (printf "%s-service" $each) $root.Values.services)) -}}{{- $side = $each -}}{{- end -}}
{{- end -}}
{{- $said := .service.port | default (ternary "auth" "open-payments" (eq $side "auth")) -}}
{{- if kindIs "map" $said -}}{{- $said = coalesce $said.name $said.number -}}{{- end -}}
{{- $port := include "upesi.text" $said -}}
{{- range $item := ($root.Values._upesi | default dict).items -}}
{{- if eq $item.side $side -}}
{{- range $item.ports -}}
{{- if eq $port (include "upesi.servicePort" (dict "settings" (get $root.Values.services $side | default dict) "port" .)) -}}{{- $port = .name -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "service" $service "side" $side "port" $port | toJson -}}
{{- end -}}
