{{/* The servers' settings: the operator's, and what only the chart can know. */}}
{{- define "rolecall.serverSettings" -}}
{{- $own := dict
  "agentAudience" .Values.agent.tokenAudience
  "agentNamespace" .Release.Namespace
  "agentServiceAccount" (include "rolecall.agentAccount" .)
  "authentication" "token-review"
  "listen" (printf "[::]:%d" (int .Values.server.port))
  "nodeGuard" (include "rolecall.nodeGuard" .)
  "tlsCertificate" "/etc/rolecall/tls/tls.crt"
  "tlsKey" "/etc/rolecall/tls/tls.key"
  "tokenSecretFile" "/etc/rolecall/token/secret"
-}}
{{- mergeOverwrite (deepCopy .Values.server.settings) $own | toYaml -}}
{{- end -}}

{{/* An agent is told everything by flags: without a file it needs no YAML, which is memory on every node. */}}
{{- define "rolecall.agentArguments" -}}
{{- $variable := printf "%s_SERVICE_HOST" (include "rolecall.server" . | replace "-" "_" | upper) -}}
{{- $port := int .Values.server.port -}}
{{- $service := printf "[$(%s)]:%d,%s:%d" $variable $port (include "rolecall.serverName" .) $port -}}
- agent
# The kubelet puts the Service's address here, so that no DNS need be on the way. Brackets serve IPv4 and IPv6 alike.
# The name finds a Service that was made anew, whose address this container was not started with.
- --servers={{ .Values.agent.servers | join "," | default $service }}
- --server-name={{ .Values.agent.serverName | default (include "rolecall.serverName" .) }}
- --ca-file=/etc/rolecall/authority/ca.crt
- --token-file=/var/run/secrets/rolecall/token
- --listen={{ include "rolecall.endpoints" . }}
{{- with .Values.agent.containerEndpoint.listen }}
- --container-listen={{ join "," . }}
{{- end }}
- --admin-listen=[$(POD_IP)]:{{ int .Values.agent.adminPort }}
- --state-file=/run/rolecall-agent/state
- --health-file=/run/rolecall-agent/health
# The rest is for what is connected, and for the end itself.
- --grace-period={{ sub (int .Values.agent.terminationGracePeriodSeconds) 10 | max 0 }}s
{{- if .Values.warden.enabled }}
- --endpoint-file=/run/rolecall-agent/endpoint
- --warden-file=/run/rolecall/warden
{{- end }}
{{- range $name, $value := .Values.agent.settings }}
- {{ printf "--%s=%s" (kebabcase $name) (kindIs "slice" $value | ternary (join "," $value) (toString $value)) | quote }}
{{- end }}
{{- end -}}

{{/* Where the metadata endpoint listens: at the addresses that the warden makes for it, or else at the node's own. */}}
{{- define "rolecall.endpoints" -}}
{{- $port := int .Values.agent.port -}}
{{- if .Values.warden.enabled -}}
{{- $settings := .Values.warden.settings -}}
{{- printf "%s:%d,[%s]:%d" ($settings.endpointIpv4 | default "169.254.170.169") $port ($settings.endpointIpv6 | default "fd72:6f6c:6563:616c::1") $port -}}
{{- else -}}
{{- printf "[$(POD_IP)]:%d" $port -}}
{{- end -}}
{{- end -}}

{{- define "rolecall.wardenArguments" -}}
- warden
- --endpoint-file=/run/rolecall-agent/endpoint
{{- include "rolecall.wardenSettings" . }}
{{- end -}}

{{/* With the same settings, since the addresses and rules that it takes away are those of a warden that had them. */}}
{{- define "rolecall.uninstallArguments" -}}
- warden
- --uninstall
{{- include "rolecall.wardenSettings" . }}
{{- end -}}

{{- define "rolecall.wardenSettings" }}
- --installation={{ .Release.Namespace }}/{{ .Release.Name }}
{{- $addresses := list }}
{{- range .Values.agent.containerEndpoint.listen }}
{{- $host := regexReplaceAll "^\\[?([^\\]]*?)\\]?:[0-9]+$" . "${1}" }}
{{- if not (or (hasPrefix "127." $host) (eq $host "::1")) }}{{ $addresses = append $addresses $host }}{{ end }}
{{- end }}
{{- with $addresses | uniq }}
# Where the container endpoint listens: a node has these addresses only if somebody makes them.
- --more-addresses={{ join "," . }}
{{- end }}
{{- range $name, $value := .Values.warden.settings }}
- {{ printf "--%s=%s" (kebabcase $name) (toString $value) | quote }}
{{- end }}
{{- end -}}

{{/* The keys of an annotation setting, as JSON: a list, a text with commas, or the code's own default. */}}
{{- define "rolecall.keys" -}}
{{- $written := index .context.Values.server.settings .setting | default .default -}}
{{- $keys := list -}}
{{- range (kindIs "string" $written | ternary (splitList "," (toString $written)) $written) -}}
{{- with trim . }}{{ $keys = append $keys . }}{{ end -}}
{{- end -}}
{{- $keys | toJson -}}
{{- end -}}

{{- define "rolecall.roleKeys" -}}
{{- include "rolecall.keys" (dict "context" . "setting" "roleAnnotation" "default" "iam.amazonaws.com/role") -}}
{{- end -}}

{{/* Every annotation by which a pod says what it wants: who writes one of these chooses a role. */}}
{{- define "rolecall.guardedKeys" -}}
{{- $external := include "rolecall.keys" (dict "context" . "setting" "externalIdAnnotation" "default" "iam.amazonaws.com/external-id") -}}
{{- $name := include "rolecall.keys" (dict "context" . "setting" "sessionNameAnnotation" "default" "iam.amazonaws.com/session-name") -}}
{{- concat (include "rolecall.roleKeys" . | fromJsonArray) ($external | fromJsonArray) ($name | fromJsonArray) | uniq | toJson -}}
{{- end -}}

{{- define "rolecall.guardedPrefixes" -}}
{{- include "rolecall.keys" (dict "context" . "setting" "sessionTagAnnotation" "default" "iam.amazonaws.com/session-tag.") -}}
{{- end -}}

{{/* Labels that session tags are made of. */}}
{{- define "rolecall.guardedLabels" -}}
{{- $labels := list -}}
{{- range $template := values (.Values.server.settings.sessionTags | default dict) -}}
{{- range regexFindAll "\\{label:[^{}]+\\}" $template -1 -}}
{{- $labels = append $labels (. | trimPrefix "{label:" | trimSuffix "}") -}}
{{- end -}}
{{- end -}}
{{- $labels | uniq | sortAlpha | toJson -}}
{{- end -}}
