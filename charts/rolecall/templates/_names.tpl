{{/* The beginning of every name. Short enough for what is put behind it. */}}
{{- define "rolecall.fullname" -}}
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

{{- define "rolecall.server" -}}{{ include "rolecall.fullname" . }}-server{{- end -}}
{{- define "rolecall.agent" -}}{{ include "rolecall.fullname" . }}-agent{{- end -}}
{{- define "rolecall.uninstall" -}}{{ include "rolecall.fullname" . }}-uninstall{{- end -}}
{{- define "rolecall.nodeGuard" -}}{{ include "rolecall.fullname" . }}-node-guard{{- end -}}

{{- define "rolecall.serverAccount" -}}
{{- .Values.server.serviceAccount.name | default (include "rolecall.server" .) -}}
{{- end -}}

{{- define "rolecall.agentAccount" -}}
{{- .Values.agent.serviceAccount.name | default (include "rolecall.agent" .) -}}
{{- end -}}

{{/* What tells the pods of one side apart. It must not change over the life of a release. */}}
{{- define "rolecall.selector" -}}
app.kubernetes.io/name: {{ .context.Values.nameOverride | default .context.Chart.Name }}
app.kubernetes.io/instance: {{ .context.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "rolecall.labels" -}}
{{ include "rolecall.selector" . }}
app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .context.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .context.Chart.Name .context.Chart.Version | replace "+" "_" }}
{{- with .context.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rolecall.image" -}}
{{- $image := .image -}}
{{- $name := $image.repository -}}
{{- if $image.registry }}{{ $name = printf "%s/%s" $image.registry $name }}{{ end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default .context.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The name in the servers' certificate, and where agents find them by DNS. */}}
{{- define "rolecall.serverName" -}}
{{- printf "%s.%s.svc" (include "rolecall.server" .) .Release.Namespace -}}
{{- end -}}

{{- define "rolecall.serverNames" -}}
{{- $name := include "rolecall.server" . -}}
{{- list $name (printf "%s.%s" $name .Release.Namespace) (include "rolecall.serverName" .) (printf "%s.cluster.local" (include "rolecall.serverName" .)) | toJson -}}
{{- end -}}

{{/* The Secret with the servers' certificate, however it came to be. */}}
{{- define "rolecall.tlsSecret" -}}
{{- if eq .Values.tls.source "existing" }}{{ .Values.tls.existing.secretName }}{{ else }}{{ include "rolecall.server" . }}-tls{{ end -}}
{{- end -}}

{{- define "rolecall.authorityConfigMap" -}}
{{- .Values.tls.authority.configMapName | default (printf "%s-authority" (include "rolecall.fullname" .)) -}}
{{- end -}}

{{- define "rolecall.tokenSecret" -}}
{{- .Values.tokenSecret.existingSecretName | default (printf "%s-token-secret" (include "rolecall.fullname" .)) -}}
{{- end -}}

{{/* The containers of both sides are confined alike: "restricted" of the Pod Security Standards. */}}
{{- define "rolecall.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- end -}}

{{/* The warden changes the node's packet rules, for which it needs this one capability, and root to have it. */}}
{{- define "rolecall.wardenSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
  add: [NET_ADMIN]
readOnlyRootFilesystem: true
runAsNonRoot: false
runAsUser: 0
{{- end -}}

{{/*
The user of both sides, and of nobody else: a process of the same user on the node's network could share a port with an
agent. Images use 65532 ("nonroot"), 65534 and numbers from 1000 on; accounts end at 60000, and systemd takes its own from
61184 on. It is the Dockerfile's, too.
*/}}
{{- define "rolecall.user" -}}60980{{- end -}}

{{- define "rolecall.podSecurity" -}}
# The group lets a process that is not root read its mounted files.
fsGroup: {{ include "rolecall.user" . }}
runAsGroup: {{ include "rolecall.user" . }}
runAsNonRoot: true
runAsUser: {{ include "rolecall.user" . }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The nodes that have an agent: what takes its rules away must reach all of them. */}}
{{- define "rolecall.agentPlacement" -}}
{{- with .Values.agent.nodeSelector -}}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{ end -}}
{{- with .Values.agent.tolerations -}}
tolerations:
  {{- toYaml . | nindent 2 }}
{{ end -}}
affinity:
  {{- include "rolecall.agentAffinity" . | nindent 2 }}
{{ end -}}

{{/*
The values' affinity, with the nodes left out on which no DaemonSet's pod can run: Fargate, EKS Auto Mode and virtual
ones. A node is chosen where one term fits, and so each of them says it.
*/}}
{{- define "rolecall.agentAffinity" -}}
{{- $affinity := deepCopy .Values.agent.affinity -}}
{{- $nodes := $affinity.nodeAffinity | default dict -}}
{{- $required := $nodes.requiredDuringSchedulingIgnoredDuringExecution | default dict -}}
{{- $fargate := dict "key" "eks.amazonaws.com/compute-type" "operator" "NotIn" "values" (list "fargate" "auto") -}}
{{- $virtual := dict "key" "type" "operator" "NotIn" "values" (list "virtual-kubelet") -}}
{{- $terms := list -}}
{{- range $required.nodeSelectorTerms | default (list dict) -}}
{{- $expressions := concat (.matchExpressions | default list) (list $fargate $virtual) -}}
{{- $terms = append $terms (set . "matchExpressions" $expressions) -}}
{{- end -}}
{{- $_ := set $required "nodeSelectorTerms" $terms -}}
{{- $_ = set $nodes "requiredDuringSchedulingIgnoredDuringExecution" $required -}}
{{- set $affinity "nodeAffinity" $nodes | toYaml -}}
{{- end -}}
