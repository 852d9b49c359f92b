{{/* Labels of every object; `component` is its name. */}}
{{- define "modelfleet.labels" -}}
app.kubernetes.io/part-of: modelfleet
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* An image by registry, repository, and digest or tag: (dict "root" $ "image" .Values.images.agent) */}}
{{- define "modelfleet.image" -}}
{{- $repository := .image.repository }}
{{- with .root.Values.images.registry }}{{ $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}{{ end }}
{{- if .image.digest }}{{ printf "%s@%s" $repository .image.digest }}
{{- else }}{{ printf "%s:%s" $repository (default .root.Chart.AppVersion .image.tag) }}{{ end }}
{{- end }}

{{- define "modelfleet.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "modelfleet.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where and how the pods of one component run. */}}
{{- define "modelfleet.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "modelfleet.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The environment variables of all processes: `scaleDownSeconds: 15` is MODELFLEET_SCALE_DOWN_SECONDS. */}}
{{- define "modelfleet.settings" -}}
MODELFLEET_SERVER_IMAGE: {{ include "modelfleet.image" (dict "root" . "image" .Values.images.server) }}
MODELFLEET_IMAGE_PULL_POLICY: {{ .Values.images.pullPolicy }}
{{- with .Values.watchNamespaces }}
MODELFLEET_WATCH_NAMESPACES: {{ join "," . }}
{{- end }}
{{- range $name, $value := .Values.settings }}
MODELFLEET_{{ snakecase $name | upper }}: {{ (kindIs "string" $value | ternary $value (toJson $value)) | quote }}
{{- end }}
{{- end }}

{{/* Rules of the operator for models: in a ClusterRole, or in a Role of each watched namespace. */}}
{{- define "modelfleet.operatorRules" -}}
- apiGroups: [modelfleet.dev]
  resources: [mlmodels]
  verbs: [get, list, watch]
- apiGroups: [modelfleet.dev]
  resources: [mlmodels/status, mlmodelversions/status]
  verbs: [patch]
- apiGroups: [modelfleet.dev]
  resources: [mlmodelversions]
  verbs: [get, list, watch, create, delete, author]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* Rules of the gateways: they only read. */}}
{{- define "modelfleet.gatewayRules" -}}
- apiGroups: [modelfleet.dev]
  resources: [mlmodels, mlmodelversions]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- end }}

{{/* (dict "root" $ "kind" "Role" "name" .. "namespace" .. "rules" ..): a role and its binding. */}}
{{- define "modelfleet.role" -}}
{{- $isCluster := eq .kind "ClusterRole" }}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  {{- if not $isCluster }}
  namespace: {{ .namespace }}
  {{- end }}
  labels:
    {{- include "modelfleet.labels" .root | nindent 4 }}
rules:
  {{- include .rules .root | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- if not $isCluster }}
  namespace: {{ .namespace }}
  {{- end }}
  labels:
    {{- include "modelfleet.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
