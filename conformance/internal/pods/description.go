package pods

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"guideway.dev/conformance/internal/echo"
)

// errNoSecret means that the Secret of a volume does not exist yet; Kubernetes, too, then waits with the pods.
var errNoSecret = errors.New("the Secret of its volume does not exist")

// The suite's echo image serves on these ports unless it is told otherwise, which no manifest does.
const (
	plainPort    = 3000
	securePort   = 8443
	datagramPort = 8080
	dnsPort      = 53
)

// describe says which pods a Deployment has and what they serve, without their addresses.
func (c *Controller) describe(ctx context.Context, wanted *appsv1.Deployment) ([]echo.Pod, error) {
	replicas := int32(1)
	if wanted.Spec.Replicas != nil {
		replicas = *wanted.Spec.Replicas
	}
	container := wanted.Spec.Template.Spec.Containers[0]
	environment := make(map[string]string)
	for _, variable := range container.Env {
		environment[variable.Name] = variable.Value
	}
	ports, secure := portsOf(container.Image, environment)
	pods := make([]echo.Pod, replicas)
	for index := range pods {
		pods[index] = echo.Pod{
			Name:      podName(wanted, index),
			Namespace: wanted.Namespace,
			Service:   environment["SERVICE_NAME"],
			Ports:     ports,
		}
	}
	if !secure {
		return pods, nil
	}
	certificate, key, err := c.certificate(ctx, wanted)
	for index := range pods {
		pods[index].Certificate, pods[index].Key = certificate, key
	}
	return pods, err
}

// portsOf reads from image and environment what the suite's images would serve, and whether that needs a certificate.
// The gRPC image serves nothing here: no test of a layer-4 profile speaks to it.
func portsOf(image string, environment map[string]string) (ports []echo.Port, secure bool) {
	lines := environment["TCP_ECHO_SERVER"] != ""
	switch {
	case strings.Contains(image, "coredns"):
		return []echo.Port{{Protocol: echo.DNS, Number: dnsPort}}, false
	case environment["GRPC_ECHO_SERVER"] != "":
		return nil, false
	case environment["UDP_ECHO_SERVER"] != "":
		return []echo.Port{{Protocol: echo.Datagrams, Number: datagramPort}}, false
	case lines:
		ports = []echo.Port{{Protocol: echo.Lines, Number: plainPort}}
	default:
		ports = []echo.Port{{Protocol: echo.HTTP, Number: plainPort}}
	}
	if environment["TLS_SERVER_CERT"] == "" {
		return ports, false
	}
	return append(ports, echo.Port{Protocol: ports[0].Protocol, Number: securePort, TLS: true}), true
}

// certificate reads the certificate and key that the pods mount.
func (c *Controller) certificate(ctx context.Context, wanted *appsv1.Deployment) (certificate, key string, err error) {
	for _, volume := range wanted.Spec.Template.Spec.Volumes {
		if volume.Secret == nil {
			continue
		}
		secret, err := c.guideway.CoreV1().Secrets(wanted.Namespace).Get(ctx, volume.Secret.SecretName, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return "", "", errNoSecret
		}
		if err != nil {
			return "", "", err
		}
		return string(secret.Data[corev1.TLSCertKey]), string(secret.Data[corev1.TLSPrivateKeyKey]), nil
	}
	return "", "", fmt.Errorf("it serves TLS and mounts no Secret")
}

// podName follows Kubernetes: the Deployment's name, a hash for its template, one for the pod. The suite cuts the last
// two off to learn the backend's name.
func podName(wanted *appsv1.Deployment, index int) string {
	hash := fnv.New32a()
	_, _ = fmt.Fprintf(hash, "%s/%s", wanted.Namespace, wanted.Name)
	return fmt.Sprintf("%s-%08x-%d", wanted.Name, hash.Sum32(), index)
}

// listing is the Pod object that the suite reads.
func listing(pod echo.Pod, labels map[string]string, ready bool) *unstructured.Unstructured {
	status := string(corev1.ConditionFalse)
	if ready {
		status = string(corev1.ConditionTrue)
	}
	object := &unstructured.Unstructured{Object: map[string]any{
		"status": map[string]any{
			"phase":      string(corev1.PodRunning),
			"podIP":      pod.Address.String(),
			"conditions": []any{map[string]any{"type": string(corev1.PodReady), "status": status}},
		},
	}}
	object.SetName(pod.Name)
	object.SetNamespace(pod.Namespace)
	object.SetLabels(labels)
	return object
}
