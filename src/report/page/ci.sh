#!/usr/bin/env bash
# Builds the page of `report` from its sources, compares it with the committed one, and tests it in Chromium, Firefox
# and WebKit.
#
# Usage: src/report/page/ci.sh [CHROMIUM [FIREFOX]]
#
# Installs the packages that package-lock.json names. Where Node's packages or a browser cannot be had, says so and succeeds.
set -euo pipefail
cd "$(dirname "$0")"

not_tried() { echo "NOT TRIED: $*" >&2; exit 0; }

command -v npm >/dev/null || not_tried "the page of reports: npm is missing"
npm ci --silent --no-audit --no-fund || not_tried "the page of reports: its packages cannot be installed"
npm run --silent check
npm run --silent unit
chromium=${1:-$(command -v chromium || command -v chromium-browser || true)}
if [ -n "$chromium" ]; then
  CHROMIUM=$chromium npm run --silent browser
else
  echo "NOT TRIED: the page of reports in Chromium, which is missing" >&2
fi
firefox=${2:-$(command -v firefox-esr || command -v firefox || true)}
if [ -n "$firefox" ]; then
  FIREFOX=$firefox npm run --silent browser
else
  echo "NOT TRIED: the page of reports in Firefox, which is missing" >&2
fi
command -v WebKitWebDriver >/dev/null && command -v Xvfb >/dev/null || not_tried "the page of reports in WebKit: WebKitWebDriver or Xvfb is missing"
npm run --silent webkit
