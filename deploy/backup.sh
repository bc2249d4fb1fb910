#!/bin/sh
# One copy of the database, whole or not at all; copies older than $KEEP_DAYS days go.
set -eu
umask 077
folder="${BACKUP_DIR:-/backup}"
file="$folder/impasto-$(date -u +%Y%m%dT%H%M%SZ).dump"
trap 'rm -f "$file.part"' EXIT
pg_dump --format=custom --file="$file.part"
pg_restore --list "$file.part" > /dev/null
mv "$file.part" "$file"
find "$folder" -name 'impasto-*.dump' -mtime "+${KEEP_DAYS:-14}" -exec rm -f {} +
echo "$file"
