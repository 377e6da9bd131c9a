#!/bin/sh
# Put a room, and a freezer, a rack and a box for each temperature, into an empty laboratory.
#   sh examples/furnish.sh [EDGE]        EDGE: http://127.0.0.1:8089 unless said
# A second run is refused, with the name that is taken: nothing is made twice.
set -eu
api=${1:-http://127.0.0.1:8089}/api/v1/storage

# Send one command; the first id in the answer is what was made.
make() {
    answer=$(curl -sS --fail-with-body -H 'Content-Type: application/json' -d "$2" "$api/$1") || {
        echo "$answer" >&2
        exit 1
    }
    echo "$answer" | grep -Eo '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' | head -n 1
}

room=$(make locations '{"name": "Room 1"}')
for zone in -80C -20C 4C RT; do
    freezer=$(make containers "{\"kind\": \"freezer\", \"name\": \"FRZ $zone\", \"zone\": \"$zone\", \"location_id\": \"$room\"}")
    rack=$(make containers "{\"kind\": \"rack\", \"name\": \"R01\", \"parent_id\": \"$freezer\"}")
    make containers "{\"kind\": \"box\", \"name\": \"B01\", \"parent_id\": \"$rack\"}" >/dev/null
    echo "FRZ $zone / R01 / B01: 100 positions"
done
