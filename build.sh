#!/bin/sh
# What a deployment needs besides the functions: `buildCommand` in vercel.json, run before the
# platform builds them. It leaves in dist/ what is published, and the database as this version needs it:
# its tables, and the SQL functions that it calls beside those of other versions.
set -eu
cd "$(dirname "$0")"

say() {
    echo "build.sh: $*"
}

sh swagger-ui/vendor.sh
sh temml/vendor.sh
sh dist.sh

# OpenSSL's build needs more of perl than the platform's build image has.
if ! perl -MFindBin -MIPC::Cmd -MTime::Piece -MFile::Compare -MFile::Copy -e1 2>/dev/null; then
    if command -v dnf >/dev/null; then
        dnf install -y perl
    fi
fi

# A preview of a branch must not change the tables of the deployment that readers use.
migrates() {
    case "${VERCEL_ENV:-}" in
        production) true ;;
        preview) [ "${MIGRATE_PREVIEWS:-}" = 1 ] ;;
        *) false ;;
    esac
}

if ! migrates; then
    say "the database is left as it is (VERCEL_ENV=${VERCEL_ENV:-}, MIGRATE_PREVIEWS=${MIGRATE_PREVIEWS:-})"
elif [ -z "${DATABASE_URL_UNPOOLED:-}" ]; then
    say "DATABASE_URL_UNPOOLED is not set: the database is left as it is."
    say "Set it to the direct URL, or run migrate before this deployment is used."
else
    if ! command -v cargo >/dev/null; then
        # As the platform's builder does later, for the functions.
        curl --proto =https --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
        . "$HOME/.cargo/env"
    fi
    say "bringing the database up to date"
    # Its dependencies are those of the functions, and are built but once.
    cargo run --release --locked --quiet --bin migrate
fi
