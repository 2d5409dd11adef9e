#!/usr/bin/env bash
# The sample world end to end, by the same commands a user types. Called by `make run`.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
log=.scout/make-run.log
mkdir -p .scout
: >"$log"

step() {
    printf '  %s\n' "$*"
    if ! "$@" >>"$log" 2>&1; then
        tail -n 40 "$log" >&2
        printf '\nThat failed; the whole log is %s\n' "$log" >&2
        exit 1
    fi
}

started=$(date -u +%Y-%m-%dT%H:%M:%S)
echo "Materialising the sample world:"
step dagster asset materialize --select "key:catalogue/sources" -m scout_assets.definitions
range() { # first...last of the active sources of a kind
    scout sources list --json | python -c '
import json, sys
keys = [s["key"] for s in json.load(sys.stdin) if s["state"] == "active" and s["kind"] == sys.argv[1]]
print(f"{keys[0]}...{keys[-1]}")' "$1"
}

fetch() { # a source that fails fails alone: the others go on below
    local command=(dagster asset materialize --select "$1" --partition-range "$2"
        -m scout_assets.definitions)
    printf '  %s\n' "${command[*]}"
    "${command[@]}" >>"$log" 2>&1 ||
        echo "  some sources failed and keep their last rows; the reasons: scout sources list"
}

roasters=$(range roaster) suppliers=$(range supplier)
fetch "roasters/snapshots" "$roasters"
step dagster asset materialize --select "group:roasters and not key:roasters/snapshots" \
    --partition-range "$roasters" -m scout_assets.definitions
fetch "suppliers/price_lists" "$suppliers"
step dagster asset materialize \
    --select "key:catalogue/best_prices or (group:suppliers and not key:suppliers/price_lists)" \
    --partition-range "$suppliers" -m scout_assets.definitions
echo
scout summary --since "$started"
if [ -n "${SCOUT_DATABASE:-}" ]; then
    cat <<'NEXT'

Next:
  make ui-postgres                                the graph over the same server, in a browser
  .venv/bin/python samples/postgres.py .venv/bin/scout search "washed ethiopian for filter"
  export SCOUT_DATABASE=postgresql://…            a server of yours: `make run` and the rest use it
NEXT
    exit
fi
cat <<'NEXT'

Next:
  make ui                                         the graph, its plots and checks, in a browser
  .venv/bin/scout search "washed ethiopian for filter" --max-price 20 --currency EUR --in-stock
  .venv/bin/scout review next                     a match that waits for a person
  .venv/bin/scout try shopify samples/stores/fjordlys   what a source would give; stores nothing
  .venv/bin/scout auto --by YOU                   with `make ui`: it runs itself; `scout stop` ends it
  sources.yaml                                    add your own store by its address
NEXT
