#!/usr/bin/env bash
# A browser for the tests: the system's, else Debian's as root, else Playwright's own.
# Fails quietly: the test that needs it says how to mend it.
set -uo pipefail
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends chromium; } >/dev/null 2>&1
    command -v chromium >/dev/null && exit 0
fi
"$(dirname "$0")/../.venv/bin/playwright" install chromium >/dev/null 2>&1 || true
