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
{{- if eq (int .Values.agent.port) (int .Values.agent.adminPort) -}}
{{- fail "agent.adminPort: it must differ from agent.port" -}}
{{- end -}}
{{- if eq (int .Values.server.port) (int .Values.server.adminPort) -}}
{{- fail "server.adminPort: it must differ from server.port" -}}
{{- end -}}
{{- if and .Values.server.hostNetwork (has (int .Values.server.adminPort) (list (int .Values.agent.port) (int .Values.agent.adminPort))) -}}
{{- fail "server.adminPort: with server.hostNetwork it must differ from the agent's ports" -}}
{{- end -}}
{{- if and .Values.server.hostNetwork (has (int .Values.server.port) (list (int .Values.agent.port) (int .Values.agent.adminPort))) -}}
{{- fail "server.port: with server.hostNetwork it must differ from the agent's ports" -}}
{{- end -}}
{{- if eq (include "rolecall.serverAccount" .) (include "rolecall.agentAccount" .) -}}
{{- fail "agent.serviceAccount.name: agents need a service account of their own, since the servers' one may watch all pods" -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]" (include "rolecall.server" .)) -}}
{{- fail "fullnameOverride: the name of a Service begins with a letter; the release's name does not, so set one that does" -}}
{{- end -}}
{{- end -}}
