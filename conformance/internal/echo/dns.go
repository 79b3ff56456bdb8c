package echo

import (
	"net"

	"github.com/miekg/dns"
)

// serveDNS answers the first question of each query with an address record until the socket is closed.
func serveDNS(socket *net.UDPConn) error {
	server := &dns.Server{PacketConn: socket, Handler: dns.HandlerFunc(answerDNS)}
	return server.ActivateAndServe()
}

// answerDNS gives every name the address 192.0.2.1, which RFC 5737 keeps for documents.
func answerDNS(writer dns.ResponseWriter, query *dns.Msg) {
	answer := new(dns.Msg)
	answer.SetReply(query)
	if len(query.Question) > 0 && query.Question[0].Qtype == dns.TypeA {
		answer.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: query.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1},
			A:   net.IPv4(192, 0, 2, 1),
		}}
	}
	_ = writer.WriteMsg(answer)
}
