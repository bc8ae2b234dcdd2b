{{/* The services' configuration file. Keys stay flat and values quoted: Helm reads every number as a float, TOML would show it. */}}
{{- define "cascade.toml" -}}
{{- $keys := list }}
{{- range .Values.tracker.keys }}{{ $keys = append $keys (printf "%d:/etc/cascade/keys/%d" (int .id) (int .id)) }}{{ end }}
{{- $settings := dict
  "brokers" .Values.kafka.brokers
  "channels" (keys .Values.channels | sortAlpha | join ",")
  "topics.prefix" .Values.topics.prefix
  "topics.partitions" .Values.topics.partitions
  "topics.replication" .Values.topics.replication
  "state.dir" "/state"
  "state.shards" .Values.operator.shards
  "ops.listen" "0.0.0.0:9000"
  "log.format" "json"
  "tracker.listen" "0.0.0.0:8080"
  "tracker.url" .Values.tracker.url
  "tracker.keys" (join "," $keys)
  "templates.dir" "/templates"
-}}
{{- range $key, $value := .Values.settings }}
{{- if or (hasKey $settings $key) (hasPrefix "channel." $key) }}
{{- fail (printf "settings: %s is set by this chart; use the value made for it" $key) }}
{{- end }}
{{- $_ := set $settings $key $value }}
{{- end }}
{{- range $name, $channel := .Values.channels }}
{{- if and $channel.enabled (not $channel.settings) }}
{{- fail (printf "channels: %s is enabled and has no settings, so nobody knows its provider" $name) }}
{{- end }}
{{- range $key, $value := $channel.settings }}
{{- $_ := set $settings (printf "channel.%s.%s" $name $key) $value }}
{{- end }}
{{- end }}
{{- range $key, $value := $settings }}
{{ $key | quote }} = {{ ternary (int64 $value | toString) (toString $value) (kindIs "float64" $value) | quote }}
{{- end }}
{{- end }}

{{/* Environment of every container. The pod's name is the stable identity in its group. */}}
{{- define "cascade.env" -}}
- name: CASCADE_CONFIG
  value: /etc/cascade/cascade.toml
- name: CASCADE_INSTANCE
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- range .Values.secrets }}
- name: CASCADE_{{ regexReplaceAll "[.-]" .setting "_" | upper }}_FILE
  value: /etc/cascade/secrets/{{ .setting }}
{{- end }}
{{- end }}
