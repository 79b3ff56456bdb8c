package echo

import (
	"encoding/json"
	"net"

	"sigs.k8s.io/gateway-api/conformance/echo-basic/udpechoserver"
)

// largestDatagram is the most that UDP can carry.
const largestDatagram = 64 << 10

// serveDatagrams answers each datagram to its sender until the socket is closed.
func (p Pod) serveDatagrams(socket *net.UDPConn) error {
	buffer := make([]byte, largestDatagram)
	for {
		length, client, err := socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return err
		}
		answer, err := json.Marshal(udpechoserver.EchoResponse{
			Request: string(buffer[:length]),
			Context: udpechoserver.Context{Namespace: p.Namespace, Service: p.Service, Pod: p.Name},
		})
		if err != nil {
			return err
		}
		// A client that has left is its own affair; the next one is served.
		_, _ = socket.WriteToUDPAddrPort(answer, client)
	}
}
