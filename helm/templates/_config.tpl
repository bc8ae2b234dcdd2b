{{/* The services' configuration file. Keys stay flat and values quoted: Helm reads every number as a float, TOML would show it. */}}
{{- define "cascade.toml" -}}
{{- $settings := dict
  "brokers" .Values.kafka.brokers
  "channels" (include "cascade.channels" .)
  "topics.prefix" .Values.topics.prefix
  "topics.partitions" .Values.topics.partitions
  "topics.replication" .Values.topics.replication
  "state.dir" "/state"
  "state.shards" .Values.operator.shards
  "ops.listen" "0.0.0.0:9000"
  "log.format" "json"
  "tracker.listen" "0.0.0.0:8080"
  "tracker.url" .Values.tracker.url
  "templates.dir" "/templates"
-}}
{{- range $key, $value := .Values.settings }}
{{- if hasKey $settings $key }}
{{- fail (printf "settings: %s is set by this chart; use the value made for it" $key) }}
{{- end }}
{{- end }}
{{- range $key, $value := merge (dict) .Values.settings $settings }}
{{ $key | quote }} = {{ ternary (int64 $value | toString) (toString $value) (kindIs "float64" $value) | quote }}
{{- end }}
{{- end }}

{{/* Names of the enabled channels, comma separated. */}}
{{- define "cascade.channels" -}}
{{- $names := list }}
{{- range $name, $channel := .Values.channels }}
{{- if $channel.enabled }}{{ $names = append $names $name }}{{ end }}
{{- end }}
{{- join "," $names }}
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
