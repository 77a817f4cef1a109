{{/* Values that read well one by one and contradict each other. What one value alone cannot be, the schema says. */}}
{{- define "rolecall.refusals" -}}
{{- $tls := .Values.tls -}}
{{- $authority := or $tls.authority.configMapName $tls.authority.pem -}}
{{- if and $tls.authority.configMapName $tls.authority.pem -}}
{{- fail "tls.authority: give configMapName or pem, not both" -}}
{{- end -}}
{{- if eq $tls.source "existing" -}}
{{- if not $tls.existing.secretName -}}
{{- fail "tls.existing.secretName: tls.source is existing, so it must name the Secret with tls.crt and tls.key" -}}
{{- end -}}
{{- end -}}
{{- if eq $tls.source "cert-manager" -}}
{{- if not $tls.certManager.issuerRef.name -}}
{{- fail "tls.certManager.issuerRef.name: tls.source is cert-manager, so it must name the issuer" -}}
{{- end -}}
{{- end -}}
{{- if eq $tls.source "generated" -}}
{{- if $authority -}}
{{- fail "tls.authority: with tls.source generated the chart makes the authority itself; leave configMapName and pem empty" -}}
{{- end -}}
{{- if ge (int $tls.generated.renewBeforeDays) (int $tls.generated.days) -}}
{{- fail "tls.generated.renewBeforeDays: it must be less than tls.generated.days, or every upgrade makes a new certificate" -}}
{{- end -}}
{{- if le (int $tls.generated.authorityDays) (int $tls.generated.days) -}}
{{- fail "tls.generated.authorityDays: it must be more than tls.generated.days, since no certificate outlives its authority" -}}
{{- end -}}
{{- else if not $authority -}}
{{- fail (printf "tls.authority: with tls.source %s agents must be told whom to trust: give configMapName or pem" $tls.source) -}}
{{- end -}}
{{- if and .Values.server.webIdentity.roleArn (index .Values.server.serviceAccount.annotations "eks.amazonaws.com/role-arn") -}}
{{- fail "server.webIdentity.roleArn: the annotation eks.amazonaws.com/role-arn of server.serviceAccount does the same; give one" -}}
{{- end -}}
{{- if eq (include "rolecall.serverAccount" .) (include "rolecall.agentAccount" .) -}}
{{- fail "agent.serviceAccount.name: agents need a service account of their own, since the servers' one may watch all pods" -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "rolecall.server" .)) -}}
{{- fail "fullnameOverride: the name of a Service begins with a letter, and is of lower-case letters, digits and hyphens; the release's name is not, so set one that is" -}}
{{- end -}}
{{- include "rolecall.portRefusals" . -}}
{{- range $where, $labels := dict "commonLabels" .Values.commonLabels "server.podLabels" .Values.server.podLabels "agent.podLabels" .Values.agent.podLabels -}}
{{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart" -}}
{{- if hasKey $labels $label -}}
{{- fail (printf "%s: %s is the chart's own: pods are found by such labels" $where $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Ports of one node that two would listen on: what is on the host's network shares it. */}}
{{- define "rolecall.portRefusals" -}}
{{- if eq (int .Values.agent.port) (int .Values.agent.adminPort) -}}
{{- fail "agent.adminPort: it must differ from agent.port" -}}
{{- end -}}
{{- if eq (int .Values.server.port) (int .Values.server.adminPort) -}}
{{- fail "server.adminPort: it must differ from server.port" -}}
{{- end -}}
{{- if and .Values.server.hostNetwork (has (int .Values.server.adminPort) (list (int .Values.agent.port) (int .Values.agent.adminPort))) -}}
{{- fail "server.adminPort: with server.hostNetwork it must differ from the agent's ports" -}}
{{- end -}}
{{- $agent := int .Values.agent.port -}}
{{- /* While two agents share a node, the second one takes one of the next seven. */ -}}
{{- $endpoints := untilStep $agent (add $agent 8 | int) 1 -}}
{{- range .Values.agent.containerEndpoint.listen -}}
{{- $port := regexFind "[0-9]+$" . | int -}}
{{- if eq $port (int $.Values.agent.adminPort) -}}
{{- fail "agent.containerEndpoint.listen: its ports must differ from agent.adminPort" -}}
{{- end -}}
{{- $endpoints = append $endpoints $port -}}
{{- end -}}
{{- if and .Values.server.hostNetwork (has (int .Values.server.port) (append $endpoints (int .Values.agent.adminPort))) -}}
{{- fail (printf "server.port: with server.hostNetwork it must differ from the agent's ports: %d to %d, agent.adminPort and those of agent.containerEndpoint.listen" $agent (add $agent 7)) -}}
{{- end -}}
{{- end -}}
