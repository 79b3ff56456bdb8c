package memory

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/gateway-api/pkg/consts"
)

// AddDefinition puts the one CustomResourceDefinition that the suite reads: it takes from its annotations which version
// and channel of the Gateway API it is talking to.
func (s *Store) AddDefinition() {
	definition := &unstructured.Unstructured{Object: map[string]any{}}
	definition.SetName("gateways.gateway.networking.k8s.io")
	definition.SetAnnotations(map[string]string{
		consts.BundleVersionAnnotation: consts.BundleVersion,
		consts.ChannelAnnotation:       "standard",
	})
	s.Put(Definitions, definition)
}
