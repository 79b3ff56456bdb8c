// Package pods does for the suite's Deployments and Services what a Kubernetes cluster would: it starts an echo process
// for each Deployment, lists its pods, and writes the EndpointSlices of the Services that select them to Guideway.
package pods

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"guideway.dev/conformance/internal/echo"
	"guideway.dev/conformance/internal/memory"
)

// Controller holds the running Deployments.
type Controller struct {
	// binary is the path of the echo command.
	binary string
	store  *memory.Store
	// guideway is where Services and Secrets are read and EndpointSlices are written.
	guideway kubernetes.Interface

	mutex   sync.Mutex
	next    netip.Addr
	running map[types.NamespacedName]*deployment
	slices  map[types.NamespacedName]string
}

// deployment is one Deployment. Its process is nil, and its pods do not answer, while its Secret is missing.
type deployment struct {
	labels  map[string]string
	pods    []echo.Pod
	process *process
}

// New is a controller that gives pods the addresses from first on.
func New(binary string, store *memory.Store, guideway kubernetes.Interface, first netip.Addr) *Controller {
	return &Controller{
		binary:   binary,
		store:    store,
		guideway: guideway,
		next:     first,
		running:  make(map[types.NamespacedName]*deployment),
		slices:   make(map[types.NamespacedName]string),
	}
}

// Settle brings processes, pods and EndpointSlices in line with Deployments, Secrets and Services. When it returns,
// every pod whose Secret exists answers.
func (c *Controller) Settle(ctx context.Context) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	wanted := make(map[types.NamespacedName]*appsv1.Deployment)
	for _, object := range c.store.List(memory.Deployments) {
		read := &appsv1.Deployment{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, read); err != nil {
			return fmt.Errorf("reading Deployment %s/%s: %w", object.GetNamespace(), object.GetName(), err)
		}
		wanted[types.NamespacedName{Namespace: read.Namespace, Name: read.Name}] = read
	}
	for name, found := range c.running {
		if wanted[name] == nil {
			c.end(name, found)
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(wanted), byName) {
		if found := c.running[name]; found == nil || found.process == nil {
			if err := c.start(ctx, name, wanted[name]); err != nil {
				return fmt.Errorf("starting Deployment %s: %w", name, err)
			}
		}
	}
	return c.settleSlices(ctx)
}

// Stop ends every process.
func (c *Controller) Stop() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for name, found := range c.running {
		c.end(name, found)
	}
}

// start runs a Deployment's pods, or lists them as not ready while their Secret is missing.
func (c *Controller) start(ctx context.Context, name types.NamespacedName, wanted *appsv1.Deployment) error {
	pods, err := c.describe(ctx, wanted)
	if err != nil && !errors.Is(err, errNoSecret) {
		return err
	}
	found := &deployment{labels: wanted.Spec.Template.Labels, pods: pods}
	if err == nil {
		for index := range pods {
			pods[index].Address = c.next
			c.next = c.next.Next()
		}
		if found.process, err = run(c.binary, pods); err != nil {
			return err
		}
	}
	c.running[name] = found
	for _, pod := range pods {
		c.store.Put(memory.Pods, listing(pod, found.labels, found.process != nil))
	}
	return nil
}

func (c *Controller) end(name types.NamespacedName, found *deployment) {
	if found.process != nil {
		found.process.stop()
	}
	for _, pod := range found.pods {
		c.store.Remove(memory.Pods, pod.Namespace, pod.Name)
	}
	delete(c.running, name)
}

func byName(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
