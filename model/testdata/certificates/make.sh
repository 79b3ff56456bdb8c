#!/usr/bin/env bash
# Makes the keys and certificates that the tests of model/src/certificate.rs read. They are for tests alone: everyone has
# the keys.
set -euo pipefail
cd "$(dirname "$0")"

# certificate KEY NAME FILE: a certificate of KEY for NAME and *.NAME, signed by itself.
certificate() {
  openssl req -x509 -new -key "$1" -days 36500 -subj "/CN=$2" -addext "subjectAltName=DNS:$2,DNS:*.$2" -out "$3"
}

openssl ecparam -name prime256v1 -genkey -noout -out p256.sec1.key
openssl pkcs8 -topk8 -nocrypt -in p256.sec1.key -out p256.pkcs8.key
openssl pkcs8 -topk8 -in p256.sec1.key -passout pass:guideway -out encrypted.key
certificate p256.sec1.key p256.example.com p256.crt
# With a block of parameters before the key, as openssl writes it unless told otherwise.
openssl ecparam -name secp384r1 -genkey -out p384.key
certificate p384.key p384.example.com p384.crt
openssl genpkey -algorithm ed25519 -out ed25519.key
certificate ed25519.key ed25519.example.com ed25519.crt
openssl genrsa -traditional -out rsa.pkcs1.key 2048
openssl pkcs8 -topk8 -nocrypt -in rsa.pkcs1.key -out rsa.pkcs8.key
certificate rsa.pkcs1.key rsa.example.com rsa.crt
openssl ecparam -name prime256v1 -genkey -noout -out other.key
# Its first name is one that the wildcard of p256.crt covers.
certificate other.key a.p256.example.com inside.crt
openssl ecparam -name secp256k1 -genkey -noout -out secp256k1.key
openssl genrsa -traditional -out short.key 1024
