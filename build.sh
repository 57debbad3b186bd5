#!/bin/sh
# What a deployment needs besides the functions: `buildCommand` in vercel.json, run before the
# platform builds them. It leaves in dist/ what is published.
set -eu
cd "$(dirname "$0")"

sh swagger-ui/vendor.sh
sh temml/vendor.sh
sh dist.sh

# OpenSSL's build needs more of perl than the platform's build image has.
if ! perl -MFindBin -MIPC::Cmd -MTime::Piece -MFile::Compare -MFile::Copy -e1 2>/dev/null; then
    if command -v dnf >/dev/null; then
        dnf install -y perl
    fi
fi
