package transposition

// firstSpare is where ports begin that no manifest of the suite asks for.
const firstSpare = 20000

// ports gives each Gateway ports of its own, as if it had an address of its own.
type ports struct {
	// held maps, for each Gateway, the port its manifest names to the port it listens on.
	held map[string]map[int64]int64
	next int64
}

func newPorts() *ports {
	return &ports{held: make(map[string]map[int64]int64), next: firstSpare}
}

// claim returns the port on which a Gateway listens where its manifest, or an object read before, says port.
func (p *ports) claim(gateway string, port int64, spare bool) int64 {
	if p.held[gateway] == nil {
		p.held[gateway] = make(map[int64]int64)
	}
	own := p.held[gateway]
	if actual, known := own[port]; known {
		return actual
	}
	for _, actual := range own {
		if actual == port {
			return actual
		}
	}
	actual := port
	if spare || p.taken(port) {
		actual = p.next
		p.next++
	}
	own[port] = actual
	return actual
}

// translate is claim for a port that a route names: it takes none.
func (p *ports) translate(gateway string, port int64) int64 {
	if actual, known := p.held[gateway][port]; known {
		return actual
	}
	return port
}

// release gives back what a deleted Gateway held.
func (p *ports) release(gateway string) {
	delete(p.held, gateway)
}

func (p *ports) taken(port int64) bool {
	for _, own := range p.held {
		for _, actual := range own {
			if actual == port {
				return true
			}
		}
	}
	return false
}
