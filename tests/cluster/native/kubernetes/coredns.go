package main

import (
	"flag"
	"log"
	"os"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

// runCoreDNS stands in for CoreDNS's own main package, which puts flags such as -p and -version into
// the process-wide flag set, where they would clash with those of kubectl and the kubelet.
func runCoreDNS() {
	flags := flag.NewFlagSet("coredns", flag.ExitOnError)
	path := flags.String("conf", "Corefile", "file to read")
	_ = flags.Parse(os.Args[1:])
	text, err := os.ReadFile(*path)
	if err != nil {
		log.Fatal(err)
	}
	log.SetOutput(os.Stdout)
	caddy.AppName, caddy.AppVersion, caddy.Quiet = "CoreDNS", "local", true
	dnsserver.Port = dnsserver.DefaultPort
	caddy.TrapSignals()
	instance, err := caddy.Start(caddy.CaddyfileInput{Contents: text, Filepath: *path, ServerTypeName: "dns"})
	if err != nil {
		log.Fatal(err)
	}
	instance.Wait()
}
