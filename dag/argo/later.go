package argo

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag/source"
)

// later lists what Argo has and this version refuses by name, by the object
// that holds it (Argo's docs/fields.md). To support one, take it from here and
// give it a field in types.go.
var later = map[string]string{
	"workflowSpec": `activeDeadlineSeconds affinity archiveLogs artifactGC artifactRepositoryRef
		automountServiceAccountToken dnsConfig dnsPolicy executor hooks hostAliases hostNetwork imagePullSecrets
		metrics nodeSelector onExit parallelism podDisruptionBudget podGC podMetadata podPriority
		podPriorityClassName podSpecPatch priority retryStrategy schedulerName securityContext serviceAccountName
		shutdown suspend synchronization templateDefaults tolerations ttlSecondsAfterFinished ttlStrategy
		volumeClaimGC volumeClaimTemplates volumes workflowMetadata workflowTemplateRef`,
	"template": `affinity annotations archiveLocation arguments automountServiceAccountToken containerSet daemon data
		executor failFast hostAliases http initContainers memoize metrics nodeSelector parallelism plugin podSpecPatch
		priority priorityClassName resource schedulerName script securityContext serviceAccountName sidecars steps
		suspend synchronization template templateRef timeout tolerations volumes`,
	"inputs":    `artifacts`,
	"outputs":   `artifacts exitCode result`,
	"arguments": `artifacts`,
	"parameter": `globalName`,
	"valueFrom": `configMapKeyRef event expression jqFilter jsonPath supplied`,
	"dag":       `target`,
	"task": `continueOn depends hooks inline onExit templateRef when withArtifact withItems withParam
		withSequence`,
	"container": `envFrom lifecycle livenessProbe mirrorVolumeMounts ports readinessProbe resizePolicy restartPolicy
		restartPolicyRules securityContext startupProbe stdin stdinOnce terminationMessagePath
		terminationMessagePolicy tty volumeDevices volumeMounts`,
	"env":           `valueFrom`,
	"resources":     `claims`,
	"retryStrategy": `affinity expression`,
}

// refuse returns an error for the first field of n that comes later. A null or
// an empty list asks for nothing: the node that is returned lacks those.
func refuse(d *source.Decoder, n *yaml.Node, kind string) (*yaml.Node, error) {
	if n.Kind != yaml.MappingNode {
		return n, nil
	}
	names := strings.Fields(later[kind])
	kept := make([]*yaml.Node, 0, len(n.Content))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case !slices.Contains(names, key.Value):
			kept = append(kept, key, value)
		case value.Tag == "!!null", value.Kind == yaml.SequenceNode && len(value.Content) == 0:
		default:
			return n, d.Errorf(key, "`%s` is not supported yet", key.Value).
				WithMend("of Argo's format this version reads dag and container templates, their parameters and retries")
		}
	}
	if len(kept) == len(n.Content) {
		return n, nil
	}
	out := *n
	out.Content = kept
	return &out, nil
}
