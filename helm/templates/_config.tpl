{{/* A number as it was written: Helm reads every one as a float. Takes the value of a setting. */}}
{{- define "cascade.text" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) (float64 .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* A value of a channel's section in TOML. Texts stay texts, those of digits, too. */}}
{{- define "cascade.value" -}}
{{- if kindIs "string" . }}{{ . | quote }}
{{- else if kindIs "map" . }}{ {{- $comma := "" }}{{ range $key, $value := . }}{{ $comma }} {{ $key | quote }} = {{ include "cascade.value" $value }}{{ $comma = "," }}{{ end }} }
{{- else if kindIs "slice" . }}[{{ range $number, $value := . }}{{ if $number }}, {{ end }}{{ include "cascade.value" $value }}{{ end }}]
{{- else }}{{ include "cascade.text" . }}
{{- end }}
{{- end }}

{{/*
The services' configuration file. Keys stay flat. Values are texts, which each setting reads as it needs them; those of channels' sections are what
they are in the values: texts, numbers, truths, lists, tables.
*/}}
{{- define "cascade.toml" -}}
{{- include "cascade.settings" . }}
{{- range $name, $channel := .Values.channels }}
{{- include "cascade.section" (dict "name" $name "settings" $channel.settings) }}
{{- end }}
{{- end }}

{{/*
What one component reads of that file: a change of it rolls its pods, and no others. Workers read their own section, the tracker what providers
post to it. Takes (dict "root" $ "component" NAME).
*/}}
{{- define "cascade.read" -}}
{{- $component := .component }}
{{- include "cascade.settings" .root }}
{{- range $name, $channel := .root.Values.channels }}
{{- if eq $component (printf "channel-%s" $name) }}
{{- include "cascade.section" (dict "name" $name "settings" $channel.settings) }}
{{- else if eq $component "tracker" }}
{{- $posts := dict }}
{{- range $key, $value := $channel.settings }}
{{- if has (splitList "." $key | first) (list "hook" "provider") }}{{ $_ := set $posts $key $value }}{{ end }}
{{- end }}
{{- include "cascade.section" (dict "name" $name "settings" $posts) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "cascade.section" -}}
{{- $name := .name }}
{{- range $key, $value := .settings }}
{{ printf "channel.%s.%s" $name $key | quote }} = {{ include "cascade.value" $value }}
{{- end }}
{{- end }}

{{/* Settings that are of no channel. */}}
{{- define "cascade.settings" -}}
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
{{- /* Two releases may report to one Prometheus: their series must not be added up. */}}
{{- if not (hasKey $settings "ops.installation") }}
{{- $_ := set $settings "ops.installation" (printf "%s/%s" .Release.Namespace .Release.Name) }}
{{- end }}
{{- $components := list "intake" "operator" "tracker" "canary" "topics" "tools" "test" }}
{{- range $name, $channel := .Values.channels }}{{ $components = append $components (printf "channel-%s" $name) }}{{ end }}
{{- range $name, $_ := .Values.kafka.principals }}
{{- if not (has $name $components) }}
{{- fail (printf "kafka.principals: there is no %s, only %s" $name (join ", " $components)) }}
{{- end }}
{{- end }}
{{- range $name, $channel := .Values.channels }}
{{- if and $channel.enabled (not $channel.settings) }}
{{- fail (printf "channels: %s is enabled and has no settings, so nobody knows its provider" $name) }}
{{- end }}
{{- end }}
{{- range $key, $value := $settings }}
{{ $key | quote }} = {{ include "cascade.text" $value | quote }}
{{- end }}
{{- end }}

{{/*
Settings that come from Secrets, as JSON: those of every service, and those of the component's own principal, which win.
Takes (dict "root" $ "component" NAME).
*/}}
{{- define "cascade.secrets" -}}
{{- $found := dict }}
{{- range .root.Values.secrets }}{{ $_ := set $found .setting . }}{{ end }}
{{- if and .root.Values.suppression.secret (has .component (list "intake" "operator" "tools")) }}
{{- $_ := set $found "suppression.secret" (dict "setting" "suppression.secret" "secret" .root.Values.suppression.secret "key" .root.Values.suppression.key) }}
{{- end }}
{{- range dig "principals" .component "secrets" list .root.Values.kafka }}
{{- $setting := printf "kafka.%s" .property }}
{{- $_ := set $found $setting (dict "setting" $setting "secret" .secret "key" .key) }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{- define "cascade.variable" -}}
CASCADE_{{ regexReplaceAll "[.-]" . "_" | upper }}
{{- end }}

{{/*
Environment of a container that speaks to Kafka. The pod's name is the stable identity in its group; what the component's principal
sets wins over the file, which all share. Takes (dict "root" $ "component" NAME).
*/}}
{{- define "cascade.env" -}}
- name: CASCADE_CONFIG
  value: /etc/cascade/cascade.toml
- name: CASCADE_INSTANCE
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- range $property, $value := dig "principals" .component "settings" dict .root.Values.kafka }}
- name: {{ include "cascade.variable" (printf "kafka.%s" $property) }}
  value: {{ include "cascade.text" $value | quote }}
{{- end }}
{{- range include "cascade.secrets" . | fromJson }}
- name: {{ include "cascade.variable" .setting }}_FILE
  value: /etc/cascade/secrets/{{ .setting }}
{{- end }}
{{- end }}
