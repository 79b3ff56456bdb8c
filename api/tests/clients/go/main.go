// Command clients follows a Guideway API with client-go's informers and says whether they are in step.
//
// It reads one JSON line for each check from standard input: the objects there are, by namespace/name, with their
// resource versions. It answers "in step" once every informer's store, and what its handlers were told, is exactly that.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// inStepWithin is far more than any check takes.
const inStepWithin = 60 * time.Second

// follower is one informer with the objects that its handlers were told of.
type follower struct {
	name     string
	informer cache.SharedIndexInformer
	lock     sync.Mutex
	told     map[string]string
}

func follow(name string, informer cache.SharedIndexInformer) (*follower, error) {
	f := &follower{name: name, informer: informer, told: map[string]string{}}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    f.set,
		UpdateFunc: func(_, now any) { f.set(now) },
		DeleteFunc: f.forget,
	})
	return f, err
}

func (f *follower) set(object any) {
	if key, version, err := identity(object); err == nil {
		f.lock.Lock()
		defer f.lock.Unlock()
		f.told[key] = version
	}
}

func (f *follower) forget(object any) {
	// A delete that was missed comes as what is known of the object.
	if unknown, missed := object.(cache.DeletedFinalStateUnknown); missed {
		object = unknown.Obj
	}
	if key, _, err := identity(object); err == nil {
		f.lock.Lock()
		defer f.lock.Unlock()
		delete(f.told, key)
	}
}

func identity(object any) (key, version string, err error) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return "", "", err
	}
	return accessor.GetNamespace() + "/" + accessor.GetName(), accessor.GetResourceVersion(), nil
}

// difference says how the follower differs from what there is; empty if it does not.
func (f *follower) difference(wanted map[string]string) string {
	stored := map[string]string{}
	for _, object := range f.informer.GetStore().List() {
		if key, version, err := identity(object); err == nil {
			stored[key] = version
		}
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	switch {
	case !maps.Equal(stored, wanted):
		return fmt.Sprintf("%s: the store has %d objects and differs from the %d there are", f.name, len(stored), len(wanted))
	case !maps.Equal(f.told, wanted):
		return fmt.Sprintf("%s: the handlers were told of %d objects, which differ from the %d there are", f.name, len(f.told), len(wanted))
	default:
		return ""
	}
}

func run(url string) error {
	// Typed clients of core kinds prefer protobuf for what they send and take; the others send JSON.
	config := &rest.Config{Host: url, QPS: -1, BearerToken: os.Getenv("GUIDEWAY_TOKEN")}
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	untyped, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	partial, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := write(typed); err != nil {
		return fmt.Errorf("writing with the typed client: %w", err)
	}
	services := schema.GroupVersionResource{Version: "v1", Resource: "services"}
	typedFactory := informers.NewSharedInformerFactory(typed, 0)
	untypedFactory := dynamicinformer.NewDynamicSharedInformerFactory(untyped, 0)
	partialFactory := metadatainformer.NewSharedInformerFactory(partial, 0)
	var followers []*follower
	for name, informer := range map[string]cache.SharedIndexInformer{
		"typed":    typedFactory.Core().V1().Services().Informer(),
		"dynamic":  untypedFactory.ForResource(services).Informer(),
		"metadata": partialFactory.ForResource(services).Informer(),
	} {
		f, err := follow(name, informer)
		if err != nil {
			return err
		}
		followers = append(followers, f)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	typedFactory.Start(ctx.Done())
	untypedFactory.Start(ctx.Done())
	partialFactory.Start(ctx.Done())
	for _, f := range followers {
		if !cache.WaitForCacheSync(ctx.Done(), f.informer.HasSynced) {
			return fmt.Errorf("%s: never synced", f.name)
		}
	}
	fmt.Println("synced")
	return check(followers)
}

// write creates, reads, updates and deletes objects as typed clients do.
func write(client kubernetes.Interface) error {
	ctx := context.Background()
	secrets := client.CoreV1().Secrets("default")
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "typed"},
		Data:       map[string][]byte{"key": {0, 1, 255}},
	}
	created, err := secrets.Create(ctx, secret, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	created.Labels = map[string]string{"a": "b"}
	updated, err := secrets.Update(ctx, created, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	if string(updated.Data["key"]) != "\x00\x01\xff" || updated.Labels["a"] != "b" {
		return fmt.Errorf("the secret came back as %v", updated)
	}
	services := client.CoreV1().Services("default")
	service, err := services.Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "typed"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
	if service, err = services.UpdateStatus(ctx, service, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if len(service.Status.LoadBalancer.Ingress) != 1 || service.Status.LoadBalancer.Ingress[0].IP != "192.0.2.1" {
		return fmt.Errorf("the status came back as %v", service.Status)
	}
	return errors.Join(
		services.Delete(ctx, "typed", metav1.DeleteOptions{}),
		secrets.Delete(ctx, "typed", metav1.DeleteOptions{}),
	)
}

// check answers each line of standard input.
func check(followers []*follower) error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		wanted := map[string]string{}
		if err := json.Unmarshal(lines.Bytes(), &wanted); err != nil {
			return err
		}
		deadline := time.Now().Add(inStepWithin)
		for _, f := range followers {
			for difference := f.difference(wanted); difference != ""; difference = f.difference(wanted) {
				if time.Now().After(deadline) {
					return errors.New(difference)
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
		fmt.Println("in step")
	}
	return lines.Err()
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
