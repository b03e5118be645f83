#!/bin/sh
# One role and one schema for each service, in one database. No service sees the tables of another.
#   POSTGRES_USER, POSTGRES_DB  the administrator and the database, which is there already
#   SECRETS                     folder with the passwords, each in a file database-<service>
set -eu
secrets=${SECRETS:-/run/secrets}
for service in ca ra pmi supervision; do
    # The password is read by psql itself, so it stands in no process list and in no log.
    psql -X -q -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
        -v role="onecert_$service" -v schema="$service" -v file="$secrets/database-$service" <<'SQL'
SET log_statement = 'none';
SET password_encryption = 'scram-sha-256';
\set password `cat :'file'`
CREATE ROLE :"role" LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT;
CREATE SCHEMA :"schema" AUTHORIZATION :"role";
SQL
done
