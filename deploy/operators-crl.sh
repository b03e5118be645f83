#!/bin/sh
# Fetches the revocation list of operators' certificates; run it every ten minutes or so (cron, systemd timer).
#   deploy/operators-crl.sh http://status.example.cn/ca/operations.crl deploy/secrets/operators/operations.crl
# The services check the list's signature and dates themselves. One that cannot be fetched leaves the old one.
set -eu
url=${1:?"usage: operators-crl.sh URL FILE"}
file=${2:?"usage: operators-crl.sh URL FILE"}
new="$file.new"
trap 'rm -f "$new"' EXIT
curl --fail --silent --show-error --max-time 30 --max-filesize 67108864 --output "$new" "$url" || exit 3
openssl crl -inform DER -in "$new" -noout || { echo "operators-crl: $url gives no revocation list" >&2; exit 1; }
cmp -s "$new" "$file" && exit 0
chmod 0444 "$new"
mv "$new" "$file"
