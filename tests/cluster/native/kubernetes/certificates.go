package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	lifetime  = 365 * 24 * time.Hour
	clockSkew = time.Hour
)

type certificateSpec struct {
	Name          string   `json:"name"`
	Authority     string   `json:"authority"`
	CommonName    string   `json:"common_name"`
	Organizations []string `json:"organizations"`
	Hosts         []string `json:"hosts"`
}

type certificatesSpec struct {
	Directory    string            `json:"directory"`
	Authorities  []string          `json:"authorities"`
	Keys         []string          `json:"keys"`
	Certificates []certificateSpec `json:"certificates"`
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// runCertificates writes the authorities, key pairs and certificates named by the JSON on standard
// input. Python's standard library cannot sign, and the openssl program need not be there.
func runCertificates() {
	var spec certificatesSpec
	must(json.NewDecoder(os.Stdin).Decode(&spec))
	authorities := map[string]authority{}
	for _, name := range spec.Authorities {
		template := newTemplate(certificateSpec{CommonName: name})
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage |= x509.KeyUsageCertSign
		key := writeKey(spec.Directory, name)
		authorities[name] = authority{sign(spec.Directory, name, template, authority{template, key}, key), key}
	}
	for _, each := range spec.Certificates {
		key := writeKey(spec.Directory, each.Name)
		sign(spec.Directory, each.Name, newTemplate(each), authorities[each.Authority], key)
	}
	for _, name := range spec.Keys {
		public, err := x509.MarshalPKIXPublicKey(&writeKey(spec.Directory, name).PublicKey)
		must(err)
		writePEM(filepath.Join(spec.Directory, name+".pub"), "PUBLIC KEY", public)
	}
}

func newTemplate(spec certificateSpec) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	must(err)
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: spec.CommonName, Organization: spec.Organizations},
		NotBefore:    time.Now().Add(-clockSkew),
		NotAfter:     time.Now().Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, host := range spec.Hosts {
		if address := net.ParseIP(host); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return template
}

func sign(directory, name string, template *x509.Certificate, by authority, key *ecdsa.PrivateKey) *x509.Certificate {
	if by.key == nil {
		log.Fatalf("certificate %s names an unknown authority", name)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, &key.PublicKey, by.key)
	must(err)
	writePEM(filepath.Join(directory, name+".crt"), "CERTIFICATE", der)
	certificate, err := x509.ParseCertificate(der)
	must(err)
	return certificate
}

func writeKey(directory, name string) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err := x509.MarshalECPrivateKey(key)
	must(err)
	writePEM(filepath.Join(directory, name+".key"), "EC PRIVATE KEY", der)
	return key
}

func writePEM(path, kind string, der []byte) {
	must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
