package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	resolveTimeout = 2 * time.Second
	dialTimeout    = 5 * time.Second
)

// runForward joins the host's loopback to the cluster's network namespace.
//
// It is started inside the namespace and inherits listening sockets that were opened outside it: a
// socket stays in the namespace it was made in, so no privilege and no firewall rule is needed.
// Names are looked up for each connection, so a Service may appear, vanish and come back.
//
// Usage: forward -resolver ADDRESS:53 FD=HOST:PORT ...
func runForward() {
	flags := flag.NewFlagSet("forward", flag.ExitOnError)
	resolver := flags.String("resolver", "", "address of the cluster's DNS server")
	_ = flags.Parse(os.Args[1:])
	dialer := &net.Dialer{Timeout: dialTimeout, Resolver: clusterResolver(*resolver)}
	for _, argument := range flags.Args() {
		listener, target, err := inherited(argument)
		if err != nil {
			log.Fatal(err)
		}
		log.Printf("%s -> %s", listener.Addr(), target)
		go serve(listener, dialer, target)
	}
	select {}
}

func clusterResolver(address string) *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			dialer := net.Dialer{Timeout: resolveTimeout}
			return dialer.DialContext(ctx, network, address)
		},
	}
}

func inherited(argument string) (net.Listener, string, error) {
	number, target, found := strings.Cut(argument, "=")
	descriptor, err := strconv.Atoi(number)
	if !found || err != nil {
		return nil, "", fmt.Errorf("%q is not FD=HOST:PORT", argument)
	}
	listener, err := net.FileListener(os.NewFile(uintptr(descriptor), target))
	return listener, target, err
}

func serve(listener net.Listener, dialer *net.Dialer, target string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Printf("accept for %s: %v", target, err)
			time.Sleep(50 * time.Millisecond) // out of descriptors: do not spin
			continue
		}
		go join(client, dialer, target)
	}
}

func join(client net.Conn, dialer *net.Dialer, target string) {
	defer client.Close()
	server, err := dialer.Dial("tcp", target)
	if err != nil {
		log.Printf("no connection to %s: %v", target, err)
		return
	}
	defer server.Close()
	done := make(chan struct{}, 2)
	go pump(server, client, done)
	go pump(client, server, done)
	<-done
	<-done
}

// pump copies one direction and passes its end on, so that half-closed connections live on.
func pump(to, from net.Conn, done chan<- struct{}) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
	done <- struct{}{}
}
