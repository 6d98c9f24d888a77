#!/bin/sh
# Install Debian's prometheus (with promtool) where it is missing and we may. Where we may not, the
# tests that need it are skipped with a reason, or fail when CI=true.
if command -v "${PROMETHEUS:-prometheus}" >/dev/null && command -v "${PROMTOOL:-promtool}" >/dev/null; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    exit 0
fi
echo "installing Debian's prometheus for the tests"
export DEBIAN_FRONTEND=noninteractive
# The service must not start here: the tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus; } >/dev/null 2>&1 ||
    echo "could not install it; see the reasons of the tests that need it" >&2
