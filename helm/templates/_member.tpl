{{/*
A service that is a member of a consumer group: a StatefulSet with its headless Service.

Not a Deployment, although only the operator has a volume: the pod's name is the static identity in the group and the name of
the transactional producer. A pod that comes back under its old name moves no partition and ends its predecessor's open
transaction at once; under a new name both would have to time out first.

Takes what cascade.pod takes, "replicas", and perhaps "storage", and "scaled" (true, where somebody else sets their number).
*/}}
{{- define "cascade.member" -}}
{{- $name := printf "%s-%s" (include "cascade.fullname" .root) .component -}}
{{- if gt (int .replicas) (int .root.Values.topics.partitions) }}
{{- fail (printf "%s: %d replicas share %d partitions; the surplus would never be ready" .component (int .replicas) (int .root.Values.topics.partitions)) }}
{{- end -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels:
    {{- include "cascade.labels" . | nindent 4 }}
spec:
  clusterIP: None
  selector:
    {{- include "cascade.selector" . | nindent 4 }}
  ports:
    - {name: ops, port: 9000, targetPort: ops}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $name }}
  labels:
    {{- include "cascade.labels" . | nindent 4 }}
spec:
  serviceName: {{ $name }}
  {{- if not .scaled }}
  replicas: {{ .replicas }}
  {{- end }}
  podManagementPolicy: Parallel
  selector:
    matchLabels:
      {{- include "cascade.selector" . | nindent 6 }}
  template:
    {{- include "cascade.pod" . | nindent 4 }}
  {{- with .storage }}
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: Retain
    whenScaled: {{ .whenScaled | default "Retain" }}
  volumeClaimTemplates:
    - metadata:
        name: state
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .className }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests: {storage: {{ .size }}}
  {{- end }}
{{- end }}
