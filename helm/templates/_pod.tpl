{{- define "cascade.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{/* Takes (dict "root" $ "component" NAME). Selectors never change over the life of a release, so no version is among them. */}}
{{- define "cascade.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* All pods of a release, whatever they do. */}}
{{- define "cascade.release" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cascade.labels" -}}
{{ include "cascade.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: cascade
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "cascade.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "cascade.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "cascade.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Liveness is only "the loop runs": a restore or a slow broker must not get the pod killed. Readiness is "it does its work". */}}
{{- define "cascade.probes" -}}
startupProbe:
  httpGet: {path: /health, port: ops}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health, port: ops}
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /ready, port: ops}
  periodSeconds: 5
{{- end }}

{{/*
The pod template of a service.
Takes (dict "root" $ "component" NAME "args" LIST "resources" MAP), and perhaps "ports", "mounts", "secrets" (lists), "keys" (true,
for who signs or believes links) and "grace" (seconds).
*/}}
{{- define "cascade.pod" -}}
metadata:
  labels:
    {{- include "cascade.labels" . | nindent 4 }}
  annotations:
    # What they read of the configuration: if it changes, they are rolled.
    checksum/config: {{ include "cascade.read" . | sha256sum }}
    prometheus.io/scrape: "true"
    prometheus.io/port: "9000"
    {{- with .root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "cascade.fullname" .root }}
  automountServiceAccountToken: false
  # Service variables such as CASCADE_TRACKER_PORT would look like settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .grace | default 30 }}
  securityContext:
    {{- include "cascade.podSecurity" . | nindent 4 }}
  {{- with .root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "cascade.selector" . | nindent 10 }}
  containers:
    - name: {{ .component }}
      image: {{ include "cascade.image" .root }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: {{ toJson .args }}
      env:
        {{- include "cascade.env" . | nindent 8 }}
      ports:
        - {name: ops, containerPort: 9000}
        {{- with .ports }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- include "cascade.probes" . | nindent 6 }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      securityContext:
        {{- include "cascade.containerSecurity" . | nindent 8 }}
      volumeMounts:
        {{- include "cascade.mounts" . | nindent 8 }}
        {{- with .mounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "cascade.volumes" . | nindent 4 }}
  {{- include "cascade.placement" .root | nindent 2 }}
{{- end }}

{{/* Where pods may run, all of them: where only some nodes are meant for us, a Job that goes elsewhere waits for ever. */}}
{{- define "cascade.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "cascade.mounts" -}}
- {name: config, mountPath: /etc/cascade/cascade.toml, subPath: cascade.toml, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if or (include "cascade.secrets" . | fromJson) .secrets }}
- {name: secrets, mountPath: /etc/cascade/secrets, readOnly: true}
{{- end }}
{{- if .keys }}
- {name: keys, mountPath: /etc/cascade/keys, readOnly: true}
{{- end }}
{{- if .root.Values.templates.configMap }}
- {name: templates, mountPath: /templates, readOnly: true}
{{- end }}
{{- end }}

{{/* Takes what cascade.pod takes, and perhaps "config", the name of another ConfigMap than the release's. */}}
{{- define "cascade.volumes" -}}
- name: config
  configMap: {name: {{ .config | default (include "cascade.fullname" .root) }}}
- name: tmp
  emptyDir: {}
{{- if or (include "cascade.secrets" . | fromJson) .secrets }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range include "cascade.secrets" . | fromJson }}
      - {secret: {name: {{ .secret }}, items: [{key: {{ .key }}, path: {{ .setting }}}]}}
      {{- end }}
      {{- range .secrets }}
      - {secret: {name: {{ .secret }}, items: [{key: {{ .key }}, path: {{ .name }}}]}}
      {{- end }}
{{- end }}
{{- if .keys }}
- name: keys
  projected:
    defaultMode: 0440
    sources:
      {{- range .root.Values.tracker.keys }}
      - {secret: {name: {{ .secret }}, items: [{key: {{ .key }}, path: {{ .id | quote }}}]}}
      {{- end }}
{{- end }}
{{- with .root.Values.templates }}
{{- if .configMap }}
- name: templates
  projected:
    sources:
      - {configMap: {name: {{ .configMap }}}}
      {{- range .files }}
      - {configMap: {name: {{ .configMap }}, items: [{key: {{ .key }}, path: {{ .path }}}]}}
      {{- end }}
{{- else if .files }}
{{- fail "templates: files stand beside those of templates.configMap, which names no ConfigMap; those of the image cannot be added to" }}
{{- end }}
{{- end }}
{{- end }}

{{/* A policy that lets one component out to where "rules" say, beside what all may reach. */}}
{{- define "cascade.egress" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "cascade.fullname" .root }}-{{ .component }}-out
  labels:
    {{- include "cascade.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "cascade.selector" . | nindent 6 }}
  policyTypes: [Egress]
  egress:
    {{- toYaml .rules | nindent 4 }}
{{- end }}

{{/* How many pods of a component may be away at a time. */}}
{{- define "cascade.disruption" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "cascade.fullname" .root }}-{{ .component }}
  labels:
    {{- include "cascade.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "cascade.selector" . | nindent 6 }}
{{- end }}
