package pods

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// settleSlices writes one EndpointSlice for each Service with a selector, and deletes those of Services that are gone.
func (c *Controller) settleSlices(ctx context.Context) error {
	services, err := c.guideway.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing Services: %w", err)
	}
	seen := make(map[types.NamespacedName]bool)
	for index := range services.Items {
		service := &services.Items[index]
		if len(service.Spec.Selector) == 0 {
			continue
		}
		name := types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
		seen[name] = true
		if err := c.writeSlice(ctx, name, c.slice(service)); err != nil {
			return fmt.Errorf("writing the EndpointSlice of Service %s: %w", name, err)
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(c.slices), byName) {
		if seen[name] {
			continue
		}
		err := c.guideway.DiscoveryV1().EndpointSlices(name.Namespace).Delete(ctx, name.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting the EndpointSlice of Service %s: %w", name, err)
		}
		delete(c.slices, name)
	}
	return nil
}

// slice lists the running pods that a Service selects.
func (c *Controller) slice(service *corev1.Service) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name:      service.Name,
			Namespace: service.Namespace,
			Labels:    map[string]string{discoveryv1.LabelServiceName: service.Name},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, port := range service.Spec.Ports {
		number := port.TargetPort.IntVal
		if number == 0 {
			number = port.Port
		}
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{
			Name: &port.Name, Protocol: &port.Protocol, Port: &number, AppProtocol: port.AppProtocol,
		})
	}
	selector := labels.SelectorFromSet(service.Spec.Selector)
	ready := true
	for _, name := range slices.SortedFunc(maps.Keys(c.running), byName) {
		found := c.running[name]
		if found.process == nil || name.Namespace != service.Namespace || !selector.Matches(labels.Set(found.labels)) {
			continue
		}
		for _, pod := range found.pods {
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
				Addresses:  []string{pod.Address.String()},
				Conditions: discoveryv1.EndpointConditions{Ready: &ready},
			})
		}
	}
	return slice
}

// writeSlice writes a slice unless it is what was written last.
func (c *Controller) writeSlice(ctx context.Context, name types.NamespacedName, slice *discoveryv1.EndpointSlice) error {
	content, err := json.Marshal(slice)
	if err != nil || c.slices[name] == string(content) {
		return err
	}
	client := c.guideway.DiscoveryV1().EndpointSlices(name.Namespace)
	current, err := client.Get(ctx, name.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = client.Create(ctx, slice, metav1.CreateOptions{})
	case err == nil:
		slice.ResourceVersion = current.ResourceVersion
		_, err = client.Update(ctx, slice, metav1.UpdateOptions{})
	}
	if err == nil {
		c.slices[name] = string(content)
	}
	return err
}
