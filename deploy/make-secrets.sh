#!/bin/sh
# Makes what docker-compose.yml needs and no repository may hold, in deploy/secrets/. What is there stays.
#   deploy/make-secrets.sh pki.example.cn
# Database passwords; a self-signed TLS certificate for that name, until a real one takes its place; one for the
# inner side; and, until the operations CA is there, a stand-in for the operators' CA, whose key is thrown away.
set -eu
name=${1:?"usage: deploy/make-secrets.sh NAME-OF-THE-SITE"}
folder=${2:-"$(dirname "$0")/secrets"}
command -v openssl >/dev/null || { echo "make-secrets: the openssl command is missing" >&2; exit 3; }
umask 077
mkdir -p "$folder/nginx" "$folder/operators"
# Only the owner enters. The files below are readable by all, because the users inside the containers are others.
chmod 0700 "$folder"
chmod 0755 "$folder/nginx" "$folder/operators"

made() { echo "make-secrets: made $1"; }
place() { # temporary file, file: in one step, so that a broken run leaves nothing half
    chmod 0444 "$1"
    mv "$1" "$2"
    made "$2"
}

for user in admin ca ra pmi supervision; do
    file="$folder/database-$user"
    [ -s "$file" ] && continue
    openssl rand -hex 32 >"$file.new"
    place "$file.new" "$file"
done

tls() { # file without ending, name, all names
    [ -s "$1.pem" ] && [ -s "$1.key" ] && return
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 825 -subj "/CN=$2" \
        -addext "subjectAltName=$3" -addext "basicConstraints=critical,CA:FALSE" \
        -addext "keyUsage=critical,digitalSignature" -addext "extendedKeyUsage=serverAuth" \
        -keyout "$1.key.new" -out "$1.pem.new" 2>/dev/null
    place "$1.key.new" "$1.key"
    place "$1.pem.new" "$1.pem"
}
tls "$folder/nginx/public" "$name" "DNS:$name"
tls "$folder/nginx/internal" onecert-internal "DNS:onecert-internal,DNS:localhost"

if [ ! -s "$folder/operators/operators.pem" ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 30 \
        -subj "/CN=no operations CA yet" -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
        -addext "keyUsage=critical,keyCertSign" -keyout /dev/null -out "$folder/operators/operators.pem.new" 2>/dev/null
    place "$folder/operators/operators.pem.new" "$folder/operators/operators.pem"
fi
