#!/bin/sh
# The tests' own certificate authority and certificates for 127.0.0.1 and localhost, as PEM files in DIRECTORY:
#
#   ca.pem                          the authority to trust
#   good.pem good.key               in order
#   wrong_host.pem wrong_host.key   for another name
#   expired.pem expired.key         until last year
#   untrusted.pem untrusted.key     in order, of an authority that nobody trusts
#
# usage: make_certificates.sh DIRECTORY
set -eu
[ $# -eq 1 ] || { echo "usage: make_certificates.sh DIRECTORY" >&2; exit 2; }
command -v openssl >/dev/null || { echo "make_certificates.sh: no openssl: apt-get install openssl" >&2; exit 3; }
mkdir -p "$1"
cd "$1"

cat >openssl.cnf <<'END'
[ca]
default_ca = tests
[tests]
new_certs_dir = issued
database = index
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
CN = tests
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[here]
subjectAltName = DNS:localhost, IP:127.0.0.1
[elsewhere]
subjectAltName = DNS:elsewhere.example, IP:192.0.2.1
END
: >index
mkdir -p issued

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

# authority NAME: NAME.pem and NAME.key, in order for ten years
authority() {
    key "$1.key"
    openssl req -new -x509 -config openssl.cnf -extensions authority -key "$1.key" -subj "/CN=$1 of the tests" -days 3650 -out "$1.pem"
}

# certificate NAME AUTHORITY EXTENSIONS START END
certificate() {
    key "$1.key"
    openssl req -new -config openssl.cnf -key "$1.key" -subj "/CN=$1" -out "$1.csr"
    openssl ca -batch -notext -config openssl.cnf -cert "$2.pem" -keyfile "$2.key" -extensions "$3" -startdate "$4" -enddate "$5" \
        -in "$1.csr" -out "$1.pem" 2>"$1.log" || { cat "$1.log" >&2; exit 1; }
}

last_year=$(($(date +%Y) - 1))
next_year=$(($(date +%Y) + 1))
authority ca
authority other_ca
certificate good ca here "${last_year}0101000000Z" "${next_year}1231000000Z"
certificate wrong_host ca elsewhere "${last_year}0101000000Z" "${next_year}1231000000Z"
certificate expired ca here "${last_year}0101000000Z" "${last_year}0201000000Z"
certificate untrusted other_ca here "${last_year}0101000000Z" "${next_year}1231000000Z"
