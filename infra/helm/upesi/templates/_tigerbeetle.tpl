{{/* Shell: the replicas' Services by their addresses, in the order of the replicas. */}}
{{- define "upesi.tigerbeetle.addresses" -}}
addresses=
for replica in{{ range $index := until (int .replicas) }} {{ $index }}{{ end }}; do
  if [ "$replica" = "$REPLICA" ]; then address=0.0.0.0; else
    until address=$(getent hosts "{{ .name }}-$replica" | cut -d ' ' -f 1) && [ -n "$address" ]; do sleep 1; done
  fi
  addresses="$addresses${addresses:+,}$address:3000"
done
{{- end -}}
