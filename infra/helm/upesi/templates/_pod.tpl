{{/* An image: repository, name, tag or digest, from the closest that says it. */}}
{{- define "upesi.image" -}}
{{- $values := .root.Values -}}
{{- $own := .image | default dict -}}
{{- $all := $values.imageOverride | default dict -}}
{{- $name := coalesce $own.name $all.name (ternary $values.image.connector $values.image.functions (eq .role "connector")) -}}
{{- $repository := coalesce $own.repository $all.repository $values.image.repository -}}
{{- $path := ternary (printf "%s/%s" $repository $name) $name (ne (toString $repository) "<nil>") -}}
{{- $digest := coalesce $own.digest $all.digest -}}
{{- if $digest -}}{{ printf "%s@%s" $path $digest }}
{{- else -}}{{ printf "%s:%s" $path (coalesce $own.tag $all.tag $values.versionOverride $values.image.tag .root.Chart.AppVersion | toString) }}{{- end -}}
{{- end -}}

{{- define "upesi.containerSecurity" -}}
{{- mergeOverwrite (deepCopy .root.Values.securityContext) (deepCopy (.own | default dict)) | toYaml -}}
{{- end -}}

{{/* envFrom and env of a side: its ConfigMap, its Secret, what is in Secrets of others. */}}
{{- define "upesi.environment" -}}
{{- $root := .root -}}
{{- $side := .side -}}
{{- $deployment := .deployment -}}
{{- $state := $root.Values._upesi -}}
{{- $own := printf "%s-%s" (include "upesi.fullname" $root) $side -}}
{{- $secrets := get $state.secrets $side -}}
{{- $from := list (dict "configMapRef" (dict "name" $own)) (dict "secretRef" (dict "name" $secrets.name)) -}}
{{- range (default list $deployment.envFrom) -}}
{{- $more := tpl (toYaml .) $root | fromYaml -}}
{{- if not (has $more $from) -}}{{- $from = append $from $more -}}{{- end -}}
{{- end -}}
envFrom:
{{ toYaml $from }}
{{- with concat $secrets.refs (default list .env) (default list $deployment.env) (default list $deployment.extraEnv) }}
env:
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "upesi.probe" -}}
{{- $probe := deepCopy .defaults -}}
{{- if or .own.exec .own.tcpSocket .own.grpc -}}{{- $probe = omit $probe "httpGet" -}}{{- end -}}
{{- mergeOverwrite $probe .own | toYaml -}}
{{- end -}}

{{/* The container of an item. Knative asks and stops in its own way. */}}
{{- define "upesi.container" -}}
{{- $root := .root -}}
{{- $item := .item -}}
{{- $deployment := $item.deployment -}}
{{- $metrics := int (include "upesi.text" $root.Values.metrics.port) -}}
name: {{ $item.role }}
image: {{ include "upesi.image" (dict "root" $root "role" $item.role "image" $deployment.image) | quote }}
imagePullPolicy: {{ coalesce $deployment.imagePullPolicy $root.Values.image.pullPolicy }}
command: {{ default (list "node" (printf "dist/%s/server.mjs" $item.role)) $deployment.command | toJson }}
{{- with $deployment.args }}
args: {{ toJson . }}
{{- end }}
{{ include "upesi.environment" (dict "root" $root "side" $item.side "deployment" $deployment "env" $item.env) }}
{{- if $item.knative }}
ports:
  - name: http1
    containerPort: {{ (first $item.ports).port }}
readinessProbe:
  {{- include "upesi.probe" (dict "own" ($deployment.readinessProbe | default dict) "defaults" (dict "httpGet" (dict "path" "/readyz" "port" (first $item.ports).port) "timeoutSeconds" 3)) | nindent 2 }}
livenessProbe:
  {{- include "upesi.probe" (dict "own" ($deployment.livenessProbe | default dict) "defaults" (dict "httpGet" (dict "path" "/livez" "port" (first $item.ports).port) "periodSeconds" 10 "timeoutSeconds" 3)) | nindent 2 }}
{{- else }}
{{- $asked := "metrics" }}
ports:
  {{- range $item.ports }}
  - name: {{ .name }}
    containerPort: {{ .port }}
    {{- $asked = .name }}
  {{- end }}
  - name: metrics
    containerPort: {{ $metrics }}
{{- if has $item.role (list "auth") }}{{- $asked = "auth" }}{{- end }}
startupProbe:
  {{- include "upesi.probe" (dict "own" ($deployment.startupProbe | default dict) "defaults" (dict "httpGet" (dict "path" "/livez" "port" $asked) "periodSeconds" 2 "timeoutSeconds" 3 "failureThreshold" 60)) | nindent 2 }}
readinessProbe:
  {{- include "upesi.probe" (dict "own" ($deployment.readinessProbe | default dict) "defaults" (dict "httpGet" (dict "path" "/readyz" "port" $asked) "periodSeconds" 2 "timeoutSeconds" 3 "failureThreshold" 2)) | nindent 2 }}
livenessProbe:
  {{- include "upesi.probe" (dict "own" ($deployment.livenessProbe | default dict) "defaults" (dict "httpGet" (dict "path" "/livez" "port" $asked) "periodSeconds" 10 "timeoutSeconds" 3 "failureThreshold" 6)) | nindent 2 }}
{{- if gt (int $deployment.preStopSleepSeconds) 0 }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ int $deployment.preStopSleepSeconds }}
{{- end }}
{{- end }}
resources:
  {{- toYaml $deployment.resources | nindent 2 }}
securityContext:
  {{- include "upesi.containerSecurity" (dict "root" $root "own" $deployment.securityContext) | nindent 2 }}
volumeMounts:
  {{- include "upesi.volumeMounts" (dict "root" $root "side" $item.side "deployment" $deployment) | nindent 2 }}
{{- end -}}

{{/* Mounts of a role's containers, tasks included. The public chart mounts `keys` by hand; here that volume comes with the key. */}}
{{- define "upesi.volumeMounts" -}}
{{- $key := .root.Values._upesi.key -}}
{{- $keyed := and $key.mounted (eq .side "backend") -}}
{{- $named := list -}}
{{- range .deployment.volumes -}}{{- $named = append $named .name -}}{{- end -}}
- name: tmp
  mountPath: /tmp
{{- if $keyed }}
- name: keys
  mountPath: {{ dir $key.file }}
  readOnly: true
{{- end }}
{{- range .deployment.volumeMounts }}
{{- if or (ne .name "keys") (and (not $keyed) (has "keys" $named)) }}
- {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where pods may run. */}}
{{- define "upesi.placement" -}}
{{- range $field := list "nodeSelector" "affinity" "tolerations" "priorityClassName" -}}
{{- with get $.deployment $field }}
{{ $field }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "upesi.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- $key := .root.Values._upesi.key }}
{{- if and $key.mounted (eq .side "backend") }}
- name: keys
  secret:
    secretName: {{ $key.name }}
    items:
      - key: pvk.pem
        path: {{ base $key.file }}
{{- end }}
{{- $keyed := and $key.mounted (eq .side "backend") }}
{{- range .deployment.volumes }}
{{- if not (and (eq .name "keys") $keyed) }}
- {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What every pod of the node has in common. */}}
{{- define "upesi.podBase" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{- define "upesi.serviceAccount" -}}
{{- $own := .item.deployment.serviceAccount | default dict -}}
{{- if $own.name -}}{{ $own.name }}
{{- else if .root.Values.serviceAccount.name -}}{{ .root.Values.serviceAccount.name }}
{{- else if .root.Values.serviceAccount.create -}}{{ include "upesi.fullname" .root }}-{{ .item.role }}
{{- else -}}default{{- end -}}
{{- end -}}

{{/* Restarts pods when what they read at their start has changed, also in Secrets of others that the cluster can show. */}}
{{- define "upesi.checksums" -}}
{{- $state := .root.Values._upesi -}}
{{- $secrets := get $state.secrets .side -}}
{{- $foreign := dict -}}
{{- $namespace := .root.Release.Namespace -}}
{{- range $secrets.refs -}}
{{- $_ := set $foreign .name (dig "data" .valueFrom.secretKeyRef.key "" (lookup "v1" "Secret" $namespace .valueFrom.secretKeyRef.name | default dict)) -}}
{{- end -}}
{{- if not $secrets.created -}}{{- $_ := set $foreign "own" (dig "data" dict (lookup "v1" "Secret" $namespace $secrets.name | default dict)) -}}{{- end -}}
checksum/config: {{ get $state.config .side | toJson | sha256sum }}
checksum/secrets: {{ list $secrets.values $foreign $state.key | toJson | sha256sum }}
{{- end -}}

{{- define "upesi.podLabels" -}}
{{ include "upesi.selector" .root }}
app.kubernetes.io/component: {{ .item.name }}
{{- if .item.ports }}
upesi-side: {{ .item.side }}
{{- end }}
{{- with .item.deployment.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
