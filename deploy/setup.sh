#!/bin/sh
# Sets up what a fresh Debian 12 or later lacks, says what it does, and does nothing the second time.
#   deploy/setup.sh run     for `make demo` and `make up`
#   deploy/setup.sh test    also what the tests need
# As root, Debian packages are installed; as any other user they are downloaded and unpacked under .tools/.
set -eu
cd "$(dirname "$0")/.."
what=${1:-run}
tools="$PWD/.tools"
say() { printf '%s\n' "setup: $*"; }
fail() { printf '%s\n' "setup: $1" "hint: $2" >&2; exit 1; }

have_root() { [ "$(id -u)" = 0 ]; }

apt_ready=no
apt_update() {
    command -v apt-get >/dev/null || fail "this machine has no apt-get, so $1 cannot be installed" "install $1 yourself, then run the same command again"
    [ "$apt_ready" = yes ] && return
    if ! apt-cache show "$1" >/dev/null 2>&1; then
        have_root || fail "the package lists are empty, so $1 cannot be looked up" "ask an administrator to run 'apt-get update'"
        say "refreshing Debian's package lists"
        apt-get update -qq >/dev/null || fail "'apt-get update' failed" "check the network and Debian's package sources"
    fi
    apt_ready=yes
}

# Installs Debian packages, or unpacks them under .tools/debian for a user who is not root.
debian() {
    apt_update "$1"
    if have_root; then
        say "installing from Debian: $*"
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$tools/apt.log" 2>&1 ||
            fail "Debian's packages could not be installed: $*" "see .tools/apt.log"
    else
        say "unpacking from Debian, because you are not root: $* (into .tools/debian)"
        mkdir -p "$tools/debian"
        for package in "$@"; do unpack "$package" "$tools/debian"; done
    fi
}
unpack() { # a package, into a folder
    mkdir -p "$tools/downloads"
    # A shell of its own: apt-get download writes into the working folder.
    (cd "$tools/downloads" && apt-get download -qq "$1" >>"$tools/apt.log" 2>&1) ||
        fail "Debian's package $1 could not be downloaded" "see .tools/apt.log, or ask an administrator to install $1"
    for file in "$tools/downloads/$1"_*.deb; do dpkg-deb -x "$file" "$2"; done
}

mkdir -p "$tools"

# 1. Python
python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
if [ -z "$python" ]; then
    have_root || fail "Python 3.11 or later is missing" "ask an administrator to run 'apt-get install python3'"
    debian python3
    python=python3
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$python is older than 3.11" "set PYTHON to a newer one"

# 2. SoftHSM and the openssl command
softhsm_module() {
    for path in "${ONECERT_PKCS11_MODULE:-}" /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so \
        "$tools"/debian/usr/lib/softhsm/libsofthsm2.so "$tools"/debian/usr/lib/*/softhsm/libsofthsm2.so; do
        [ -n "$path" ] && [ -e "$path" ] && { printf '%s' "$path"; return; }
    done
}
[ -n "$(softhsm_module)" ] || debian libsofthsm2
[ -n "$(softhsm_module)" ] || fail "SoftHSM's module was not found after its installation" "set ONECERT_PKCS11_MODULE to the path of libsofthsm2.so"
command -v openssl >/dev/null || { have_root || fail "the openssl command is missing" "ask an administrator to run 'apt-get install openssl'"; debian openssl; }

# The registration authority prints papers with the characters of people's names.
if [ ! -e /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ]; then
    if have_root; then
        debian fonts-noto-cjk
    else
        say "without fonts-noto-cjk, which needs root: no papers are printed (or name a font with [ra] papers_font)"
    fi
fi

# 3. The virtual environment
pip_of() { # a new environment at $1
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -m venv "$1"
    else
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        if have_root; then
            debian "python$version-venv"
            "$python" -m venv "$1"
        else
            # Debian keeps pip in a package of its own; its wheel runs without being installed.
            debian python3-pip-whl
            "$python" -m venv --without-pip "$1"
            wheel=$(ls "$tools"/debian/usr/share/python-wheels/pip-*.whl | head -n 1)
            "$1/bin/python" "$wheel/pip" install -q --disable-pip-version-check --no-index "$wheel" ||
                fail "pip could not be put into the environment" "ask an administrator to run 'apt-get install python$version-venv'"
        fi
    fi
}
packages() { # environment, requirements file, what for, more options for pip
    stamp="$1/.$(basename "$2")"
    pinned=$(sha256sum "$2" | cut -d' ' -f1)
    if [ "$(cat "$stamp" 2>/dev/null || true)" != "$pinned" ]; then
        say "installing Python packages for $3 ($2, pinned with hashes)"
        "$1/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r "$2" ${4:-} ||
            fail "the Python packages of $2 could not be installed" "check the network and pip's settings ('pip config list')"
        printf '%s' "$pinned" >"$stamp"
    fi
}
environment=.venv
if [ ! -x "$environment/bin/python" ]; then
    say "making the virtual environment $environment with $("$python" --version)"
    pip_of "$environment"
fi
if [ "$what" = test ] || [ -e "$environment/.with-tests" ]; then
    packages "$environment" requirements/test.txt "running and testing"
    touch "$environment/.with-tests"
else
    packages "$environment" requirements/run.txt "running"
fi
packages "$environment" requirements/browser.txt "browsers" --no-deps

# 4. The members, editable, so that the checkout is what runs
members="verifier hsm server ca ra pmi supervision testkit"
wanted=$(cat $(for m in $members; do echo "$m/pyproject.toml"; done) | sha256sum | cut -d' ' -f1)
if [ "$(cat "$environment/.members" 2>/dev/null || true)" != "$wanted" ]; then
    say "installing the members of this checkout: $members"
    # shellcheck disable=SC2046
    "$environment/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation \
        $(for m in $members; do printf -- '-e ./%s ' "$m"; done) || fail "the members could not be installed" "run the same command again; if it fails again, remove .venv"
    printf '%s' "$wanted" >"$environment/.members"
fi

# 5. A department's environment: onecert-verifier and nothing of ours beside it
department=.tools/department
wanted=$(find verifier -name '*.py' -o -name '*.json' -o -name '*.toml' | grep -v __pycache__ | LC_ALL=C sort | xargs cat requirements/verifier.txt | sha256sum | cut -d' ' -f1)
if [ "$(cat "$department/.verifier" 2>/dev/null || true)" != "$wanted" ]; then
    say "making a department's environment with onecert-verifier alone (.tools/department)"
    [ -x "$department/bin/python" ] || pip_of "$department"
    packages "$department" requirements/verifier.txt "a department"
    rm -rf .tools/wheels
    "$environment/bin/python" -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w .tools/wheels ./verifier &&
        "$department/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-index --force-reinstall .tools/wheels/*.whl ||
        fail "onecert-verifier could not be installed for the department" "run the same command again; if it fails again, remove .tools"
    printf '%s' "$wanted" >"$department/.verifier"
fi

# 6. What only the tests need
if [ "$what" = test ]; then
    postgres=$(ls -d /usr/lib/postgresql/*/bin "$tools"/debian/usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1 || true)
    if [ -z "$postgres" ]; then
        if have_root; then
            # Debian would start a server of its own; the tests start theirs in a folder of their own.
            mkdir -p /etc/postgresql-common
            [ -e /etc/postgresql-common/createcluster.conf ] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
            debian postgresql
        else
            version=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
            debian "postgresql-${version:-15}" "postgresql-client-${version:-15}" libpq5
        fi
    fi
    if ! command -v promtool >/dev/null && [ ! -x "$tools/debian/usr/bin/promtool" ]; then
        # The one program that checks alert rules: 19 MB to fetch; the server beside it is not installed.
        apt_update prometheus
        say "unpacking promtool from Debian's package prometheus (into .tools/debian)"
        unpack prometheus "$tools/prometheus"
        mkdir -p "$tools/debian/usr/bin"
        mv "$tools/prometheus/usr/bin/promtool" "$tools/debian/usr/bin/"
        rm -rf "$tools/prometheus" "$tools"/downloads/prometheus_*.deb
    fi
    if have_root && [ ! -x "$tools/enforce/usr/bin/sudo" ]; then
        # The tests log in to real accounts in a file system of their own (tests/verifier/enforce). Unpacked,
        # because the installed package would start an sshd on this machine.
        command -v ssh >/dev/null || debian openssh-client
        # The libraries that they need and that may be missing; those of Debian itself are there.
        for each in libgssapi-krb5-2:libgssapi_krb5.so.2 libwrap0:libwrap.so.0; do
            [ -e "$(ls -d /usr/lib/*-linux-gnu/"${each#*:}" 2>/dev/null | head -n 1)" ] || debian "${each%%:*}"
        done
        apt_update openssh-server
        say "unpacking sshd and sudo from Debian's packages (into .tools/enforce)"
        for package in openssh-server sudo; do unpack "$package" "$tools/enforce"; done
    fi
    if have_root; then
        command -v docker-compose >/dev/null || debian docker-compose
        command -v nginx >/dev/null || debian nginx-light
        command -v curl >/dev/null || debian curl
        command -v jq >/dev/null || debian jq
        # What a printed application says, read back.
        command -v pdftotext >/dev/null || debian poppler-utils
        # People's ways through the pages (tests/browser), on pages that show Chinese.
        command -v chromium >/dev/null || debian chromium
        # What drives it is a program of its own that needs this library.
        [ -e "$(ls -d /usr/lib/*-linux-gnu/libatomic.so.1 2>/dev/null | head -n 1)" ] || debian libatomic1
        [ -n "$(fc-list :lang=zh-cn 2>/dev/null)" ] || debian fonts-noto-cjk fontconfig
        # Other implementations that judge what the CA signed while the tests ran (tests/second_opinions).
        command -v certtool >/dev/null || debian gnutls-bin
        { command -v java >/dev/null && [ -e /usr/share/java/bcpkix.jar ] && [ -e /usr/share/java/bsh.jar ]; } ||
            debian default-jre-headless libbcpkix-java bsh
        # Reads our attribute certificates and issues some for us to read.
        { [ -x /usr/bin/pki ] && [ -e /usr/lib/ipsec/plugins/libstrongswan-openssl.so ]; } ||
            debian strongswan-pki libstrongswan-standard-plugins
    else
        command -v chromium >/dev/null || say "without chromium, which needs root: the pages are not walked in a browser"
        command -v certtool >/dev/null || say "without gnutls-bin, which needs root: GnuTLS does not judge what the CA signs in the tests"
        [ -e /usr/share/java/bcpkix.jar ] || say "without libbcpkix-java, bsh and default-jre-headless, which need root: nor does Bouncy Castle"
        [ -x /usr/bin/pki ] || say "without strongswan-pki, which needs root: attribute certificates are not exchanged with strongSwan"
    fi
fi

# 7. What the recipes of the Makefile read before they run a program
{
    printf 'export ONECERT_PKCS11_MODULE="%s"\n' "$(softhsm_module)"
    postgres=$(ls -d /usr/lib/postgresql/*/bin "$tools"/debian/usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1 || true)
    # shellcheck disable=SC2016
    [ -z "$postgres" ] || printf 'export PATH="$PATH:%s"\n' "$postgres"
    libraries=$(ls -d "$tools"/debian/usr/lib/*-linux-gnu 2>/dev/null | head -n 1 || true)
    # shellcheck disable=SC2016
    [ -z "$libraries" ] || printf 'export LD_LIBRARY_PATH="%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\n' "$libraries"
} >"$tools/environment"
