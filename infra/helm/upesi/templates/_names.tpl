{{/* The release's name, unless it is said otherwise. Objects and users' envFrom are named after it. */}}
{{- define "upesi.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Values of the public chart name objects with this template. */}}
{{- define "common.fullname" -}}{{ include "upesi.fullname" . }}{{- end -}}

{{- define "upesi.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "upesi.labels" -}}
{{ include "upesi.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Text of a scalar: numbers without exponents, lists with commas, nothing for nothing. */}}
{{- define "upesi.text" -}}
{{- if kindIs "float64" . -}}
{{- if eq . (floor .) -}}{{ printf "%.0f" . }}{{- else -}}{{ printf "%.12f" . | trimSuffix "0" | trimSuffix "0" | trimSuffix "0" | trimSuffix "0" | trimSuffix "0" | trimSuffix "0" | trimSuffix "0" | trimSuffix "0" | trimSuffix "0" | trimSuffix "0" | trimSuffix "0" }}{{- end -}}
{{- else if kindIs "slice" . -}}{{ join "," . }}
{{- else if kindIs "invalid" . -}}
{{- else -}}{{ toString . }}{{- end -}}
{{- end -}}

{{/* JSON {"found": …} of what stands at a path of the values. */}}
{{- define "upesi.at" -}}
{{- $at := .values -}}
{{- range splitList "." .path -}}
{{- if kindIs "map" $at -}}{{- $at = get $at . -}}{{- else -}}{{- $at = "" -}}{{- end -}}
{{- end -}}
{{- dict "found" $at | toJson -}}
{{- end -}}

{{/* Text of the first path that has a value. */}}
{{- define "upesi.first" -}}
{{- $text := "" -}}
{{- range .paths -}}
{{- if eq $text "" -}}
{{- $text = include "upesi.text" (include "upesi.at" (dict "values" $.values "path" .) | fromJson).found -}}
{{- end -}}
{{- end -}}
{{- $text -}}
{{- end -}}
