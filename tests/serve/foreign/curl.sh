# What a shell does, with curl: the task's parts are files in the folder $1, its URL and index $2.
set -euo pipefail
cd "$1"
ask() { curl -sS --fail-with-body -H 'content-type: application/json' "$@"; }
ask -X PUT "$2/_doc/one?refresh=true" -d @document.json > one.out
curl -sS --compressed -H 'content-type: application/x-ndjson' "$2/_bulk?refresh=true" --data-binary @bulk.ndjson > bulk.out
ask --compressed "$2/_search" -d @search.json > searched.out
ask "$2/_search?size=3&from=0" -d @search.json > paged.out
ask "$2/_search?size=3&scroll=1m" -d @search.json > scrolled.out
ask "$2/_count" -d @search.json > counted.out
curl -sS -o error.out -w '%{http_code}' -H 'content-type: application/json' "$2/_search" -d @wrong.json > status.out
