{{/* What the cluster itself says against it, or that Helm asks none. */}}
{{- define "rolecall.clusterRefusals" -}}
{{- $generates := or (eq .Values.tls.source "generated") (not .Values.tokenSecret.existingSecretName) -}}
{{- /* Every cluster has this namespace. */ -}}
{{- if and $generates (not .Values.generateWithoutCluster) (not (lookup "v1" "Namespace" "" "kube-system")) -}}
{{- fail "Helm asks no cluster here (helm template, --dry-run=client, most GitOps tools), does not see what is there, and would make a new certificate and a new token secret each time. Use tls.source cert-manager or existing, and tokenSecret.existingSecretName. To look at what would be installed: --dry-run=server, or generateWithoutCluster: true" -}}
{{- end -}}
{{- if not .Values.agent.besideOtherReleases -}}
{{- range (lookup "apps/v1" "DaemonSet" "" "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- /* By the chart's name and not the label app.kubernetes.io/name, which nameOverride replaces. */ -}}
{{- $agents := and (regexMatch "^rolecall-[0-9]" (index $labels "helm.sh/chart" | default "")) (eq (index $labels "app.kubernetes.io/component" | default "") "agent") -}}
{{- $release := index $labels "app.kubernetes.io/instance" | default "" -}}
{{- if and $agents (not (and (eq $release $.Release.Name) (eq .metadata.namespace $.Release.Namespace))) -}}
{{- fail (printf "the release %s in the namespace %s has its agents in this cluster already, and two would take each node from one another: there is one per cluster. agent.besideOtherReleases: true installs all the same, for releases whose agent.nodeSelector keeps their nodes apart" $release .metadata.namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (or .Values.warden.enabled .Values.warden.uninstall .Values.warden.abandonRules) -}}
{{- $running := lookup "apps/v1" "DaemonSet" .Release.Namespace (include "rolecall.agent" .) | default dict -}}
{{- range dig "spec" "template" "spec" "containers" list $running -}}
{{- if eq .name "warden" -}}
{{- fail "warden.enabled: wardens run in this release, and their rules would stay and cut every pod off. Upgrade with warden.uninstall: true first, which takes the rules away, or give warden.abandonRules: true" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
